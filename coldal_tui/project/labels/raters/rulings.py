"""Rules what becomes of the drawings of one scan: a pure function of its standing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coldal_tui.exchange.names import person_key
from coldal_tui.project.labels.raters.drawings import BY_PERSON, RULES, Drawing, Standing

Outcome = Literal["label", "joint", "wait", "dispute", "same"]


@dataclass(frozen=True)
class Policy:
    """How drawings that differ are settled.

    ``consensus``: the project's rule for scans that were given to several people (``person``: a
    person decides). ``asked``: a rule asked for in this call, for every scan. ``first``: the first
    drawing that comes back is the label. ``replace``: the mask that the call chose replaces the
    label, whoever drew it.
    """

    consensus: str = BY_PERSON
    asked: str = ""
    first: bool = False
    replace: bool = False


@dataclass(frozen=True)
class Ruling:
    """What becomes of a scan: ``label``: ``drawing`` counts; ``joint``: a label by ``rule``.

    ``wait``: others are still out; ``dispute``: a person decides; ``same``: the label stays, and
    nothing is open.
    """

    outcome: Outcome
    drawing: Drawing | None = None
    rule: str = ""
    why: str = ""


def rule_on(standing: Standing, policy: Policy) -> Ruling:
    """Rule on a scan of which new drawings have come (``Drawing.new``).

    Another person's drawing never replaces a label, unless the call says so: it is kept, and where
    it differs the scan is in dispute.
    """
    new = [one for one in standing.drawings if one.new]
    if policy.replace and len(new) == 1:
        return Ruling("label", new[0])
    if standing.label is None:
        return _first_label(standing, policy)
    return _beside_label(standing, policy)


def _first_label(standing: Standing, policy: Policy) -> Ruling:
    drawings = standing.drawings
    if not policy.first and standing.waits:
        missing = ", ".join(standing.missing)
        return Ruling("wait", why=f"{standing.back}; still out: {missing}")
    if len({one.sha256 for one in drawings}) == 1:
        why = f"{len(drawings)} people drew the same" if len(drawings) > 1 else ""
        return Ruling("label", drawings[0], why=why)
    rule = policy.asked or (policy.consensus if len(standing.asked) > 1 or standing.third else "")
    if rule in RULES:
        return Ruling("joint", rule=rule)
    if policy.first:
        return Ruling("label", drawings[0], why="the first that came back")
    return Ruling("dispute", why=f"{_names(drawings)} differ")


def _beside_label(standing: Standing, policy: Policy) -> Ruling:
    label, new = standing.label, [one for one in standing.drawings if one.new]
    assert label is not None  # the caller has looked
    rule = policy.asked
    if not rule and (label.decided in RULES or (len(standing.asked) > 1 and not label.decided)):
        rule = label.decided or policy.consensus
    if rule in RULES:
        if len({one.sha256 for one in standing.drawings}) > 1:
            return Ruling("joint", rule=rule, why="computed again")
        if label.decided in RULES and standing.drawings:
            return Ruling("label", standing.drawings[0], why="all drew the same")
    if not label.decided and len(new) == 1:
        known = label.author is not None
        if not known or person_key(label.author or "") == person_key(new[0].author):
            return Ruling("label", new[0])
    differing = [one for one in new if one.sha256 != label.sha256]
    if not differing:
        return Ruling("same", why="the same as the label")
    whose = f"the label by {label.author}" if label.author else "the label"
    decided = " that a person decided on" if label.decided == BY_PERSON else ""
    return Ruling("dispute", why=f"{_names(differing)} differs from {whose}{decided}, which stays")


def _names(drawings: list[Drawing] | tuple[Drawing, ...]) -> str:
    return " and ".join(one.author for one in drawings)
