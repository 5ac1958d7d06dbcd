"""Which scans an embed job is given: those without a whole vector by the encoder in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler.plan_embed import plan_embed, usable_vectors
from tests.support.small_projects import add_embeddings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(images / f"s{number}.png")
    made = Project.create(tmp_path / "project", images)
    reindex(made)
    add_embeddings(made.root, np.zeros((3, 4), np.float32))
    return made


def test_nothing_is_embedded_twice(project: Project) -> None:
    assert plan_embed(project, {}) is None


def test_a_lost_shard_is_embedded_again(project: Project) -> None:
    (project.layout.embeddings / "shard.npy").unlink()
    spec = plan_embed(project, {})
    assert spec is not None
    assert spec.embedded == ()
    assert [scan.scan_id for scan in spec.scans] == ["s0", "s1", "s2"]


def test_again_notices_a_shard_that_was_changed(project: Project) -> None:
    np.save(project.layout.embeddings / "shard.npy", np.ones((3, 4), np.float32))
    assert plan_embed(project, {}) is None
    spec = plan_embed(project, {"again": True})
    assert spec is not None
    assert spec.embedded == ()


def test_a_scan_that_failed_waits_until_it_is_asked_for(project: Project) -> None:
    scan = project.scan("s1")
    project.store.execute("DELETE FROM embeddings WHERE scan_id = 's1'")
    with project.store.transaction():
        project.store.insert(
            "embed_failures",
            encoder_hash="hash",
            scan_id="s1",
            quick_hash=scan.quick_hash,
            message="damaged",
        )
    assert plan_embed(project, {}) is None
    spec = plan_embed(project, {"again": True})
    assert spec is not None
    assert spec.embedded == ("s0", "s2")


@pytest.mark.parametrize(
    "setting",
    [
        'sha256 = "' + "ab" * 32 + '"',
        'window = "lung"',
        'pooling = "foreground"',
        'precision = "bf16"',
        'weights = "other.pth"',
        'name = "dinov2-small"',
    ],
)
def test_vectors_of_another_encoder_or_setting_are_not_taken(
    project: Project, setting: str
) -> None:
    """Nothing is mixed: every scan is embedded anew, and the map waits for those vectors."""
    config = project.layout.config
    name = "" if setting.startswith("name") else 'name = "efficientnet-lite0"\n'
    config.write_text(f'[images]\ndir = "../images"\n[encoder]\n{name}{setting}\n')
    project.reload_config()
    spec = plan_embed(project, {})
    assert spec is not None
    assert (len(spec.scans), spec.embedded, spec.expected_hash) == (3, (), None)
    with pytest.raises(ColdalError, match="no scan has been embedded yet"):
        usable_vectors(project)


def test_settings_that_are_the_defaults_change_nothing(project: Project) -> None:
    config = project.layout.config
    defaults = 'name = "efficientnet-lite0"\nwindow = "soft-tissue"\npooling = "mean"\n'
    defaults += 'precision = "float32"\n'
    config.write_text(f'[images]\ndir = "../images"\n[encoder]\n{defaults}')
    project.reload_config()
    assert plan_embed(project, {}) is None


def test_other_bytes_an_excluded_scan_and_a_copy_have_no_usable_vector(project: Project) -> None:
    store = project.store
    store.update("scans", {"scan_id": "s1"}, quick_hash="other")
    assert usable_vectors(project) == ("hash", {"s0": (1, 0), "s2": (1, 2)})
    spec = plan_embed(project, {})
    assert spec is not None
    assert (len(spec.scans), spec.embedded) == (3, ("s0", "s2"))
    store.update("scans", {"scan_id": "s1"}, excluded="blurred")
    assert plan_embed(project, {}) is None
    store.update("scans", {"scan_id": "s2"}, duplicate_of="s0")
    assert usable_vectors(project) == ("hash", {"s0": (1, 0)})
    store.update("scans", {"scan_id": "s0"}, state="missing")
    with pytest.raises(ColdalError) as caught:
        usable_vectors(project)
    assert caught.value.code == "no-scans"
    with pytest.raises(ColdalError) as caught:
        plan_embed(project, {})
    assert caught.value.code == "no-scans"


def test_where_all_have_vectors_no_record_of_a_scan_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "scans", lambda self: pytest.fail("all scans were read"))
    assert plan_embed(project, {}) is None
    assert list(usable_vectors(project)[1]) == ["s0", "s1", "s2"]
