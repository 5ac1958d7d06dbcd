"""Runs the step of a job specification; its module is imported only then."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.jobs.spec import (
    CrossFitSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    MapSpec,
    Reporter,
    ScoreSpec,
    SelectSpec,
    SimulateSpec,
    StepResult,
    TrainSpec,
)


def run_step(spec: JobSpec, folder: Path, report: Reporter) -> StepResult:
    """Run the step that ``spec`` describes, writing into ``folder``."""
    match spec:
        case EmbedSpec():
            from coldal_compute.embedding import embed

            return embed(spec, folder, report)
        case MapSpec():
            from coldal_compute.map_step import make_map

            return make_map(spec, folder, report)
        case SelectSpec():
            from coldal_compute.select_step import select

            return select(spec, folder, report)
        case TrainSpec():
            from coldal_compute.train_step import train

            return train(spec, folder, report)
        case ScoreSpec():
            from coldal_compute.score_step import score

            return score(spec, folder, report)
        case EvaluateSpec():
            from coldal_compute.evaluate_step import evaluate

            return evaluate(spec, folder, report)
        case CrossFitSpec():
            from coldal_compute.crossfit_step import crossfit

            return crossfit(spec, folder, report)
        case SimulateSpec():
            from coldal_compute.simulation.step import simulate

            return simulate(spec, folder, report)
