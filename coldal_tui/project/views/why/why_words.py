"""Explains in words why a scan is, or is not, in the queue, from the facts of ``explain``.

Every function returns plain sentences without a full stop; screens and the command line put them
together. Numbers on the queue's scale (H, D, S) have two decimals and no leading zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldal_tui.project.views.why.why_strategies import strategy_words

Facts = Mapping[str, Any]

HIGH, LOW = 0.6, 0.3
"""Terms of S above and below which words call them much and little."""


def term(value: float | None) -> str:
    """A number between 0 and 1 as the queue shows it: ``.81``, ``1.00``."""
    if value is None:
        return "–"
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else text


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``11th``, ``1,203rd``."""
    tail = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{tail}"


def cluster_name(cluster: int | None) -> str:
    """A cluster's display name: C1 for number 0; a dash for none."""
    return "–" if cluster is None else f"C{cluster + 1}"


def because(facts: Facts) -> list[str]:
    """The reasons, most important first: one to three short sentences."""
    if "role" not in facts:
        return _not_in_queue(facts)
    try:
        said = _by_role(facts)
    except KeyError:
        # A plug-in's strategy has its own terms.
        said = _terms(facts)
    since = _since(facts)
    return since + said if facts.get("status") == "skipped" else said + since


def _by_role(facts: Facts) -> list[str]:
    if "own_words" in facts:
        return list(facts["own_words"]) or _terms(facts)
    said = strategy_words(facts["role"], facts["terms"])
    if said is not None:
        return said
    match facts["role"]:
        case "medoid":
            return _medoid(facts)
        case "farthest-point":
            return _farthest(facts)
        case "acquired":
            return _acquired(facts)
        case "validation":
            return ["drawn at random for the frozen validation set; it never trains"]
        case "random":
            seed = facts["terms"].get("seed")
            return ["drawn at random" + ("" if seed is None else f" (seed {seed})")]
        case "manual":
            by = facts["terms"].get("by")
            return [
                f"queued by hand by {by}" if by else "nobody queued it: its mask came by itself"
            ]
    return _terms(facts)


def _terms(facts: Facts) -> list[str]:
    """The terms as plain numbers."""
    return [
        f"{name.replace('_', ' ')} {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in facts["terms"].items()
    ]


def _since(facts: Facts) -> list[str]:
    """What happened to the scan since it was picked."""
    said = []
    if facts["terms"].get("replaces"):
        said.append(f"took the place of {facts['terms']['replaces']}, which was skipped")
    if facts.get("status") == "skipped":
        reason = f" ({facts['reason']})" if facts.get("reason") else ""
        heir = f"; {facts['replaced_by']} took its place" if facts.get("replaced_by") else ""
        said.append(f"skipped{reason}{heir}")
    return said


def _medoid(facts: Facts) -> list[str]:
    terms = facts["terms"]
    others = terms["cluster_size"] - 1
    return [
        f"the middle of {cluster_name(facts['cluster'])}: of its {terms['cluster_size']:,} scans "
        f"the one nearest to all others"
        + (f" ({terms['summed_distance'] / others:.1f} on average)" if others else "")
    ]


def _farthest(facts: Facts) -> list[str]:
    terms, cluster = facts["terms"], cluster_name(facts["cluster"])
    order = f"number {terms['order']} of the {terms['places']} places that {cluster} gets"
    order += f" by its size (quota {terms['quota']:.2f})" if "quota" in terms else ""
    if not terms.get("nearest"):
        return [f"the first of {cluster}", order]
    return [
        f"the farthest in {cluster} from what was picked before ({terms['distance']:.2f} from "
        f"{terms['nearest']})",
        order,
    ]


def _acquired(facts: Facts) -> list[str]:
    terms = facts["terms"]
    alpha = terms["alpha"]
    uncertain = _uncertain(facts, terms["entropy_term"]) if alpha > 0 else ""
    far = _far(facts, terms) if alpha < 1 else ""
    if uncertain and far:
        agree = (terms["entropy_term"] >= LOW) == (terms["diversity_term"] >= LOW)
        if alpha * terms["entropy_term"] < (1 - alpha) * terms["diversity_term"] and not agree:
            uncertain, far = far, uncertain
        first = f"{uncertain} {'and' if agree else 'though'} {far}"
    else:
        first = uncertain or far
    return [first, *_beaten(terms)]


def _uncertain(facts: Facts, share: float) -> str:
    standing = facts.get("standing") or {}
    cluster = cluster_name(facts["cluster"])
    place, among = standing.get("entropy_place"), standing.get("entropy_of") or 0
    if place is None:
        words = (
            "very uncertain" if share >= HIGH else "uncertain" if share >= LOW else "rather sure"
        )
        return f"{words} (H {term(share)})"
    if place == 1:
        words = f"the most uncertain of {cluster}"
    elif place <= max(3, among / 20):
        words = f"among the most uncertain of {cluster}"
    elif share >= LOW:
        words = f"uncertain in {cluster}"
    else:
        words = f"rather sure in {cluster}"
    return f"{words} (H {term(share)}, {ordinal(place)} of {among:,})"


def _far(facts: Facts, terms: Mapping[str, Any]) -> str:
    share = terms["diversity_term"]
    words = "far from" if share >= HIGH else "some way from" if share >= LOW else "near"
    near = ((facts.get("standing") or {}).get("nearest_labelled")) or {}
    if near:
        place = "" if near["cluster"] is None else f", {cluster_name(near['cluster'])}"
        return f"{words} labels (D {term(share)}; nearest labelled {near['scan_id']}{place})"
    if terms.get("nearest"):
        return f"{words} what is picked (D {term(share)}; nearest {terms['nearest']})"
    return f"{words} what is picked (D {term(share)})"


def _beaten(terms: Mapping[str, Any]) -> list[str]:
    if not terms.get("runner_up"):
        return []
    lead = terms["score"] - terms["runner_up_score"]
    by = "by less than .01" if lead < 0.005 else f"by {term(lead)}"
    return [f"beat {terms['runner_up']} {by}"]


def _not_in_queue(facts: Facts) -> list[str]:
    prospect = (facts.get("standing") or {}).get("prospect")
    if not prospect:
        return [facts["status"]]
    near = prospect["nearest"]
    from_where = f" from {near['scan_id']}" if near else ""
    if prospect["entropy_term"] is None and not prospect["alpha"]:
        return [
            f"not picked yet: {ordinal(prospect['place'])} of {prospect['candidates']:,} by its "
            f"distance{from_where} (D {term(prospect['diversity_term'])})",
            "no run has scored it yet",
        ]
    numbers = f"H {term(prospect['entropy_term'])}, D {term(prospect['diversity_term'])}"
    place = (
        f"not picked yet: {ordinal(prospect['place'])} of {prospect['candidates']:,} candidates "
        f"(S {term(prospect['score'])}: {numbers}{from_where})"
    )
    return [place, _what_it_needs(prospect)]


def _what_it_needs(prospect: Mapping[str, Any]) -> str:
    batch = f"the next {prospect['batch']:,}"
    if prospect["step"] is not None:
        return f"it would be pick {prospect['step']} of {batch}"
    if prospect["entropy_term"] is None:
        return "without an entropy it is passed over"
    against = f"{prospect['against']} is ahead by {term(max(prospect['short_by'], 0.01))}"
    if not prospect["alpha"]:
        return f"{against} in {batch}"
    needed = prospect["entropy_needed"]
    if needed is None:
        return f"{against}; no H would bring it into {batch} so near to what is covered"
    return f"{against}; an H of {term(min(needed + 0.005, 1.0))} would bring it into {batch}"


def place(facts: Facts) -> str:
    """Its place in the queue: round, rank, role, cluster, and how its round was picked."""
    selection = facts["selection"] or {}
    text = f"round {facts['round']}, rank {facts['rank']}, {facts['role']}"
    if facts["cluster"] is not None:
        text += f" of {cluster_name(facts['cluster'])}"
    if selection:
        text += (
            f"; strategy {selection['strategy']}, seed {selection['seed']}, "
            f"map {selection['map_id']}"
        )
        text += f", run {selection['run_id']}" if selection.get("run_id") else ""
    return text


def details(facts: Facts) -> list[str]:
    """The numbers behind the reasons, and other facts about the scan."""
    terms = facts.get("terms") or {}
    lines = []
    if "entropy_term" in terms and "own_words" not in facts:
        alpha = terms["alpha"]
        lines.append(
            f"S {term(terms['score'])} = {term(alpha)} × H {term(terms['entropy_term'])} + "
            f"{term(1 - alpha)} × D {term(terms['diversity_term'])}, at step {terms['step']}"
        )
        if terms.get("nearest"):
            lines.append(
                f"nearest labelled, queued or picked scan then: {terms['nearest']}, "
                f"{terms['distance']:.2f} away on the map"
            )
        if terms.get("runner_up"):
            second = term(terms["runner_up_score"])
            lines.append(f"chosen over {terms['runner_up']} (S {second})")
    near = (facts.get("standing") or {}).get("nearest_labelled")
    if near:
        lines.append(
            f"nearest labelled scan now: {near['scan_id']} of {cluster_name(near['cluster'])}, "
            f"{near['distance']:.2f} away"
        )
    lines += [f"entropy by {one['run_id']}: {one['entropy']:.4f}" for one in facts["entropies"]]
    if facts.get("assignee"):
        lines.append(f"assigned to {facts['assignee']}")
    if facts["label"]:
        lines.append(f"label version {facts['label']['version']} from {facts['label']['source']}")
    own = facts["patient_id"] == f"scan:{facts['scan_id']}"
    patient = "no patient known" if own else f"patient {facts['patient_id']}"
    return [*lines, f"{patient}, file {facts['path']}"]
