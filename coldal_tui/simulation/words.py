"""The answer in words: would this have beaten random here? Never more than the interval says."""

from __future__ import annotations

from typing import Any

from coldal_tui.visible import counted

Document = dict[str, Any]

_SAYS = {
    "better": "Yes",
    "worse": "No: random was better",
}


def answers(results: Document) -> list[Document]:
    """One for each arm but random: ``group``, ``arm``, ``verdict``, ``text``."""
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


def _answer(group: str, compared: Document, arm: Document, difference: Document) -> str:
    seeds = len(compared["seeds"])
    where = f"{_labels(compared['labels'])} labels"
    over = "Dice averaged over these label counts" if len(compared["labels"]) > 1 else "Dice"
    what = "the first queue" if group == "cold" else "later rounds"
    head = f"Would {arm['arm']} have beaten random here ({what}, {where})?"
    gap = signed(difference["mean"])
    ends = f"95 % interval {signed(difference['low'])} to {signed(difference['high'])}"
    basis = f"{counted(seeds, 'seed')}, {counted(compared['test_patients'], 'test patient')}"
    verdict = difference["verdict"]
    if verdict in _SAYS:
        return f"{head} {_SAYS[verdict]}: {over} differs by {gap} ({ends}; {basis})."
    if seeds < 2:
        return (
            f"{head} Can't tell from one seed: {over} differs by {gap}, which may be the chance of "
            f"one draw and one training ({basis})."
        )
    return (
        f"{head} Can't tell: {over} differs by {gap}, and the interval spans 0 ({ends}; {basis})."
    )


def _labels(counts: list[int]) -> str:
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def signed(value: float | None, digits: int = 3) -> str:
    """``+0.012``, ``−0.003``; a dash where there is none."""
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
    """``+0.012 [−0.003, +0.027] can't tell``."""
    if stat is None:
        return ""
    ends = f"[{signed(stat['low'])}, {signed(stat['high'])}]"
    return f"{signed(stat['mean'])} {ends} {stat['verdict']}"


def needed_words(needed: Document | None) -> str:
    """``27 [19, > 40]``: the labels that random needs; ``> 40`` where 40 did not suffice."""
    if needed is None:
        return ""
    words = [
        f"> {needed['most']}" if needed[key] is None else f"{needed[key]:.0f}"
        for key in ("labels", "low", "high")
    ]
    return f"{words[0]} [{words[1]}, {words[2]}]"


def caveats(results: Document) -> list[str]:
    """What a reader has to know before believing a number; only what applies here."""
    found = []
    comparisons = len(answers(results))
    if comparisons > 1:
        found.append(
            f"{comparisons} arms are compared with random, each at 95 %: of twenty that are as "
            "good as random, one looks better or worse by chance."
        )
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
    mixed = [key for key, values in results["made"].items() if len(values) > 1]
    if mixed:
        found.append(f"Cells were not all made alike; they differ in: {', '.join(mixed)}.")
    found.append(
        "The answer is about these scans, this encoder, this network and this length of training; "
        "test sets of different seeds share patients."
    )
    return found
