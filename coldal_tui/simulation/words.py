"""The results in words: which arms beat random, with no claim beyond the intervals."""

from __future__ import annotations

from typing import Any

from coldal_tui.visible import counted

Document = dict[str, Any]

_SMALL = 0.01
"""Dice within which scans are said to look alike: less than most networks' own chance."""


def answers(results: Document) -> list[Document]:
    """An answer per arm except random: ``group``, ``arm``, ``verdict``, ``text`` with numbers."""
    found = []
    for group, compared in results["groups"].items():
        for arm in compared["arms"]:
            difference = arm["aubc"].get("minus_random")
            if difference is not None:
                text = _answer(group, compared, arm, difference)
                found.append(
                    {
                        "group": group,
                        "arm": arm["arm"],
                        "verdict": difference["verdict"],
                        "text": text,
                    }
                )
    return found


def headlines(results: Document) -> list[str]:
    """The result of each group in one or two sentences, and its detectable difference."""
    return [_headline(group, compared) for group, compared in results["groups"].items()]


def kind_words(results: Document) -> list[str]:
    """For each group and arm: the effect of selection when all kinds have equal weight."""
    found = []
    for group, compared in results["groups"].items():
        kinds = compared.get("by_kind")
        for arm in kinds["arms"] if kinds else []:
            gap = arm.get("minus_random")
            if gap is not None:
                found.append(
                    f"Over the {len(kinds['kinds'])} kinds of {kinds['column']} alike "
                    f"({_WHAT[group]}): {arm['arm']} differs from random by "
                    f"{signed(gap['mean'])} Dice ({ends_of(gap)}; p {p_words(gap['p'])}): "
                    f"{gap['verdict'] if gap['verdict'] != 'undecided' else 'not told apart'}."
                )
    return found


def _headline(group: str, compared: Document) -> str:
    arms = [arm for arm in compared["arms"] if "minus_random" in arm["aubc"]]
    better = [arm for arm in arms if arm["aubc"]["minus_random"]["verdict"] == "better"]
    seeds = counted(len(compared["seeds"]), "seed")
    where = f"{_WHAT[group]}, {_labels(compared['compared'])} labels"
    if better:
        best = max(better, key=lambda arm: arm["aubc"]["minus_random"]["mean"])
        gap = best["aubc"]["minus_random"]
        first = (
            f"Yes ({where}): {best['arm']} beats random by {signed(gap['mean'])} Dice "
            f"({ends_of(gap)}; {seeds})."
        )
        return " ".join([first, *_best_saving(best)])
    bound = _largest_change(arms)
    if len(compared["seeds"]) < 2 or bound is None:
        return (
            f"One seed ({where}) can't tell choosing from the chance of one split and one "
            "training; its differences stand below. Two seeds or more can."
        )
    if bound < _SMALL:
        return (
            f"These scans look alike ({where}): choosing changes Dice by less than {bound:.3f} "
            f"({seeds}). Label in random order over many patients."
        )
    best = max(arms, key=lambda arm: arm["aubc"]["minus_random"]["mean"])
    gap = best["aubc"]["minus_random"]
    first = (
        f"No strategy is shown to beat random here ({where}): the best, {best['arm']}, differs "
        f"by {signed(gap['mean'])} Dice ({ends_of(gap)}; {seeds})."
    )
    return f"{first} {visible_words(compared)}".strip()


def _largest_change(arms: list[Document]) -> float | None:
    """The largest change of Dice that the intervals of these arms leave possible."""
    gaps = [arm["aubc"]["minus_random"] for arm in arms]
    ends = [abs(gap[end]) for gap in gaps for end in ("low", "high") if gap[end] is not None]
    return max(ends, default=None)


def is_clear(results: Document) -> bool:
    """Whether more seeds would not change the answer: in each group an arm is better than random,
    or no arm changes Dice by as much as 0.010."""
    found = []
    for compared in results["groups"].values():
        arms = [arm for arm in compared["arms"] if "minus_random" in arm["aubc"]]
        better = any(arm["aubc"]["minus_random"]["verdict"] == "better" for arm in arms)
        bound = _largest_change(arms)
        found.append(better or (bound is not None and bound < _SMALL))
    return bool(found) and all(found)


def _best_saving(arm: Document) -> list[str]:
    """The sentence on labels saved, for the label count with the largest saved share."""
    told = [
        (point["random_needs"]["labels"] / point["labels"], point)
        for point in arm["points"]
        if point.get("random_needs")
        and point["random_needs"]["labels"] is not None
        and (point.get("minus_random") or {}).get("verdict") == "better"
    ]
    return [saved_words(arm["arm"], max(told, key=lambda one: one[0])[1])] if told else []


def saved_words(arm: str, point: Document) -> str:
    """``kmeans reaches with 12 labels what random reaches with 19 (15 to 26): 37 % fewer.``"""
    needs = point["random_needs"]
    low = "more" if needs["low"] is None else f"{needs['low']:.0f}"
    high = f"more than {needs['most']}" if needs["high"] is None else f"{needs['high']:.0f}"
    fewer = 100 * (1 - point["labels"] / needs["labels"])
    return (
        f"{arm} reaches with {point['labels']} labels what random reaches with "
        f"{needs['labels']:.0f} ({low} to {high}): {fewer:.0f} % fewer."
    )


def visible_words(compared: Document) -> str:
    """The detectable difference with these cells and with more seeds; empty for one seed."""
    found = compared["visible"]
    if found is None:
        return ""
    seeds = len(compared["seeds"])
    more = [(int(count), value) for count, value in found["seeds"].items() if int(count) > seeds]
    words = (
        f"With these scans, {counted(seeds, 'seed')} show a difference of {found['now']:.3f} Dice"
    )
    words += "".join(f"; {count} seeds {value:.3f}" for count, value in more)
    return f"{words} (four times in five)."


_WHAT = {"cold": "the first queue", "active": "later rounds"}


def _answer(group: str, compared: Document, arm: Document, difference: Document) -> str:
    seeds = len(compared["seeds"])
    counts = compared["compared"]
    over = "Dice averaged over these label counts" if len(counts) > 1 else "Dice"
    head = f"{arm['arm']} against random ({_WHAT[group]}, {_labels(counts)} labels):"
    basis = f"{counted(seeds, 'seed')}, {counted(compared['test_patients'], 'test patient')}"
    gap = f"{over} differs by {signed(difference['mean'])} ({ends_of(difference)}"
    arms = sum("minus_random" in one["aubc"] for one in compared["arms"])
    corrected = f" after Holm over {arms} arms" if arms > 1 else ""
    if seeds < 2:
        return f"{head} {gap}, over test patients alone; {basis}: one draw and one training)."
    gap = f"{gap}; p {p_words(difference['p'])}{corrected}; {basis})."
    if difference["verdict"] == "undecided":
        bound = max(abs(difference["low"]), abs(difference["high"]))
        return f"{head} a change of less than {bound:.3f} either way. {gap}"
    return f"{head} {difference['verdict']}. {gap}"


def ends_of(difference: Document) -> str:
    return f"95 % interval {signed(difference['low'])} to {signed(difference['high'])}"


def p_words(p: float) -> str:
    """``= 0.12``, three digits below 0.1, so that 0.054 is not told as 0.05; ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _labels(counts: list[int]) -> str:
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def signed(value: float | None, digits: int = 3) -> str:
    """``+0.012``, ``−0.003``; a dash when there is no value."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", "−")


def with_interval(stat: Document | None, digits: int = 3) -> str:
    """``0.912 [0.898, 0.925]``."""
    if stat is None or stat["mean"] is None:
        return "–"
    ends = ", ".join("–" if stat[k] is None else f"{stat[k]:.{digits}f}" for k in ("low", "high"))
    return f"{stat['mean']:.{digits}f} [{ends}]"


def difference_words(stat: Document | None) -> str:
    """``+0.012 [+0.003, +0.021] better``; only the interval when it is undecided."""
    if stat is None:
        return ""
    ends = f"[{signed(stat['low'])}, {signed(stat['high'])}]"
    word = "" if stat["verdict"] == "undecided" else f" {stat['verdict']}"
    return f"{signed(stat['mean'])} {ends}{word}"


def needed_words(needed: Document | None) -> str:
    """``27 [19, > 40]``: the labels that random needs.

    ``> 40`` when 40 did not suffice, and ``≤ 6`` when 6, its fewest, may be more than needed.
    """
    if needed is None:
        return ""
    words = [
        f"> {needed['most']}" if needed[key] is None else f"{needed[key]:.0f}"
        for key in ("labels", "low", "high")
    ]
    if needed["low"] == needed["least"]:
        words[1] = f"≤ {needed['least']}"
    return f"{words[0]} [{words[1]}, {words[2]}]"


def caveats(results: Document) -> list[str]:
    """The limitations of the results that apply here."""
    found = []
    seeds = [len(group["seeds"]) for group in results["groups"].values()]
    if seeds and min(seeds) < 5:
        found.append(f"Few seeds ({min(seeds)}): with 5 or more the answer is steadier.")
    patients = [group["test_patients"] for group in results["groups"].values()]
    if patients and min(patients) < 20:
        found.append(f"Few test patients ({min(patients)}): intervals are wide.")
    if missing := results["missing"]:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        found.append(
            f"{len(missing)} of {len(missing) + results['cells']} cells are missing, and only "
            f"seeds that have all cells of a group are compared: {shown}"
        )
    if results["failed_scans"]:
        found.append(
            f"{counted(len(results['failed_scans']), 'scan')} could not be read, the first: "
            f"{results['failed_scans'][0]}"
        )
    looks = max((group["looks"] for group in results["groups"].values()), default=1)
    if looks > 1:
        found.append(
            f"The answer was looked at while seeds came in, at most {looks} times, to stop early: "
            "p and intervals count for all of these times."
        )
    mixed = [key for key, values in results["made"].items() if len(values) > 1]
    if mixed:
        found.append(f"Cells were not all made alike; they differ in: {', '.join(mixed)}.")
    found.append(
        "Every Dice is of held-out test: all scans of the patients that a seed tests on, whose "
        "masks take no part in choosing, training or validation."
    )
    found.append(
        "The answer is about these scans, this encoder, this network and this length of training; "
        "test sets of different seeds share patients."
    )
    return found
