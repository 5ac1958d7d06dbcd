"""What to do next, in words and as a command: the loudest line of every screen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coldal_tui.project.project import Project


@dataclass(frozen=True)
class NextStep:
    """``command`` is empty when there is nothing to run (wait, or all is done)."""

    command: str
    text: str


def next_step(project: Project, state: dict[str, Any]) -> NextStep:
    """The next sensible step for a project in ``state`` (the fields of a snapshot)."""
    budget = state["budget"]
    running = [job for job in state["jobs"] if job.status in ("waiting", "running")]
    if running:
        return NextStep("", f"{running[0].kind} is running; follow it: coldal-tui jobs logs -f")
    if not state["usable"]:
        return NextStep("coldal-tui index", f"no usable scan in {state['images']}; index again")
    if not state["rounds"]:
        if state["embedded"] < state["usable"]:
            return NextStep(
                "coldal-tui select",
                f"embed {state['usable'] - state['embedded']:,} scans and pick the first queue",
            )
        return NextStep("coldal-tui select", "pick the first queue")
    if state["quarantined"]:
        count = state["quarantined"]
        return NextStep(
            "coldal-tui labels list",
            f"{count} {'mask is' if count == 1 else 'masks are'} in quarantine; see why",
        )
    if budget.queued:
        return NextStep("coldal-tui export-queue", f"hand {budget.queued} queued scans to labelers")
    if budget.exported:
        return NextStep(
            "coldal-tui import-masks DIR",
            f"{budget.exported} scans are out with labelers; import their masks",
        )
    if not budget.labelled:
        return NextStep("coldal-tui select", "the queue is empty; pick scans")
    if not run_is_current(project):
        what = "pick the next batch" if budget.left else "measure the final model"
        return NextStep(
            "coldal-tui next" if budget.left else "coldal-tui train",
            f"{budget.labelled} labels are in; train and {what}",
        )
    if budget.left:
        return NextStep("coldal-tui next", f"{budget.left} of the budget left; pick the next batch")
    return NextStep("", "the budget is spent; raise it in coldal.toml to go on")


def run_is_current(project: Project) -> bool:
    """Whether the newest run was trained on exactly the labels that are active now."""
    store = project.store
    row = store.row("SELECT summary FROM runs ORDER BY created_at DESC, run_id DESC LIMIT 1")
    if row is None:
        return False
    seen: dict[str, str] = json.loads(row["summary"]).get("labels", {})
    now = store.rows("SELECT scan_id, sha256 FROM labels WHERE state = 'active'")
    return seen == {label["scan_id"]: label["sha256"] for label in now}
