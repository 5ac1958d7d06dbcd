"""Which classes are cleaned up: as coldal.toml says, or as the newest cross-fitting found."""

from __future__ import annotations

from typing import Any

from coldal_tui.project.cleanup import cleaned_classes
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config


def _set(project: Project, value: str) -> None:
    edit_config(project.layout.config, {("train", "cleanup"): value})
    project.reload_config()


def _run(project: Project, run_id: str, **pays: bool) -> None:
    summary: dict[str, Any] = {"steps": 1}
    if pays:
        summary["cleanup"] = {name: {"pays": value} for name, value in pays.items()}
    with project.store.transaction():
        project.store.insert(
            "runs",
            run_id=run_id,
            round=0,
            seed=0,
            created_at=run_id,
            train_scans=[],
            validation_scans=[],
            summary=summary,
        )


def test_classes_to_clean_up(lab) -> None:
    project = lab.start('[classes]\nnames = ["liver", "lesion"]\n')
    assert cleaned_classes(project) == ()
    _set(project, "largest")
    assert cleaned_classes(project) == ("liver", "lesion")
    _set(project, "auto")
    assert cleaned_classes(project) == ()
    _run(project, "run-001", liver=False, lesion=True)
    _run(project, "run-002", liver=True, lesion=False)
    _run(project, "run-003")
    # The newest run is not cross-fitted yet: the one before it decides.
    assert cleaned_classes(project) == ("liver",)
    _set(project, "off")
    assert cleaned_classes(project) == ()
