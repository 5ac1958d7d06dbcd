"""Builds a job's frozen specification from its request and the project's current state.

``build_spec`` runs when the job is about to start, not when it is submitted: by then the jobs it
depends on have been committed. It returns None when there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable

from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import JobSpec
from coldal_tui.project.project import Project
from coldal_tui.scheduler.plan_crossfit import plan_crossfit
from coldal_tui.scheduler.plan_embed import plan_embed, plan_map
from coldal_tui.scheduler.plan_select import plan_select
from coldal_tui.scheduler.plan_simulate import plan_simulate
from coldal_tui.scheduler.plan_train import plan_evaluate, plan_predict, plan_score, plan_train
from coldal_tui.scheduler.request import Request

READS_IMAGES = ("embed", "train", "score", "predict", "crossfit")
"""Kinds of jobs that read the project's images."""


def build_spec(project: Project, kind: str, request: Request) -> JobSpec | None:
    """The specification of a job of ``kind``; ColdalError when the project is not ready for it."""
    builders: dict[str, Callable[[Project, Request], JobSpec | None]] = {
        "embed": plan_embed,
        "map": plan_map,
        "select": plan_select,
        "train": plan_train,
        "score": plan_score,
        "predict": plan_predict,
        "evaluate": plan_evaluate,
        "crossfit": plan_crossfit,
        "simulate": plan_simulate,
    }
    if kind not in builders:
        raise ColdalError(
            f"there is no job of the kind {kind!r}", remedy=f"known: {', '.join(builders)}"
        )
    spec = builders[kind](project, request)
    if spec is not None and kind in READS_IMAGES:
        project.require_images()
    return spec
