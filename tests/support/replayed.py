"""What the tests' small simulation replays."""

from __future__ import annotations

from coldal_tui.simulation.design import Arm, Design

CLASSES = ("left", "right")
# Patients a and b have two scans each, the others one.
SCANS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c", "d1": "d", "e1": "e"}
TESTED = {1: ("a1", "a2", "c1"), 2: ("b1", "b2", "c1")}
COLD = Design(seeds=(1, 2), cold=("kmeans", "random"), budgets=(10, 20), full=True)
ROUNDS = Design(
    seeds=(1, 2),
    active=(Arm("entropy-diversity", 0.5), Arm("random")),
    start="kmeans",
    round0=10,
    batch=10,
    rounds=1,
    full=False,
)
