"""A report page in Markdown for supplements: answer, tables and methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from coldal_tui.simulation.words import (
    Document,
    caveats,
    difference_words,
    headlines,
    kind_words,
    needed_words,
    visible_words,
    with_interval,
)
from coldal_tui.visible import counted

TITLES = {"cold": "The first queue", "active": "Rounds after the first queue"}
_METHOD = """\
Masks were hidden and labelling was replayed. Test patients were {tested}; no scan of theirs was \
on the map, in the pool, or trained on. {validation}Each seed draws the split, the selection and \
the start of the training anew; the arms of one seed share all of it, and one training plan, so \
that differences are paired. Labels are counted with those for validation.

Dice and Hausdorff distances are measured on each test scan's own grid and averaged over classes, \
scans, then seeds. {draws}Intervals and verdicts come from one test: the paired difference of each \
test scan, its variance clustered by seed and by test patient (Cameron, Gelbach and Miller 2011), \
with t of as many degrees of freedom as seeds less one. Verdicts are at p < 0.05 after Holm's \
correction over the arms; intervals are 95 % each. *Visible* is the difference that four such \
studies in five would show. AUBC is the area under Dice over label counts, by trapezia, over their \
range; its difference from random leaves out a first queue that all arms share. *Random needs* is \
the number of labels at which random's monotone, linearly interpolated curve reaches the same \
Dice; its interval holds the counts at which the test does not tell random from the arm. FG-Eff is \
nnActive's foreground efficiency (arXiv 2511.19183): γ of the exponential approach to the Dice of \
full labelling over the share of the pool's foreground that is labelled{start}. The penalty matrix \
counts the share of label counts at which the row beats the column by the same test (the form of \
Ash et al. 2020)."""


def page(results: Document, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The report of a simulation; ``pictures`` are (file name, caption)."""
    about = results["about"]
    lines = [f"# Would this have beaten random here? {about['project']}", ""]
    lines += [f"**{one}**\n" for one in headlines(results)]
    lines += [f"- {one['text']}" for one in results["answers"]] or [
        "- Nothing can be compared yet: no seed has all its cells."
    ]
    lines += [f"- {one}" for one in kind_words(results)]
    lines += ["", *(f"> {one}\n>" for one in caveats(results))]
    lines[-1] = lines[-1].removesuffix("\n>")
    for group, found in results["groups"].items():
        lines += ["", f"## {TITLES[group]}", "", *_group(found)]
    if results["full"] is not None:
        full = results["full"]
        counts = "–".join(str(n) for n in sorted({full["labels"][0], full["labels"][-1]}))
        lines += ["", f"All labels of the pool ({counts}): Dice {with_interval(full['dice'])}."]
    for file, shown in pictures:
        lines += ["", f"![{shown}]({file})"]
    lines += ["", "## How", "", _method(results), "", *_facts(results)]
    return "\n".join(lines) + "\n"


def _group(found: Document) -> list[str]:
    unit = f" ({found['unit']})" if found["unit"] else ""
    head = ["arm", "labels", "Dice [95 %]", "minus random", f"HD{unit}", f"HD95{unit}"]
    head += ["SD of seeds", "random needs", "foreground", "s a cell"]
    rows = [
        [
            arm["arm"],
            str(point["labels"]),
            with_interval(point["dice"]),
            difference_words(point.get("minus_random")),
            with_interval(point.get("hd"), 1),
            with_interval(point.get("hd95"), 1),
            "–" if point["spread"] is None else f"{point['spread']:.3f}",
            needed_words(point.get("random_needs")),
            f"{100 * point['foreground']:.0f} %",
            f"{point['seconds']:.0f}",
        ]
        for arm in found["arms"]
        for point in arm["points"]
    ]
    lines = _table(head, rows)
    overall = [
        [
            arm["arm"],
            with_interval(arm["aubc"]),
            difference_words(arm["aubc"].get("minus_random")),
            with_interval(arm["final"]),
            "–" if arm["efficiency"] is None else f"{arm['efficiency']:.1f}",
        ]
        for arm in found["arms"]
    ]
    lines += ["", *_table(["arm", "AUBC", "minus random", "final Dice", "FG-Eff γ"], overall)]
    if len(found["arms"][0]["points"][0]["classes"]) > 1:
        lines += ["", "By class:", "", *_by_class(found, unit)]
    lines += ["", *_penalties(found["penalties"])]
    if len(found["random"]) > len(found["labels"]):
        shown = [[str(one["labels"]), with_interval(one["dice"])] for one in found["random"]]
        lines += ["", "random at all its label counts:", "", *_table(["labels", "Dice"], shown)]
    if "by_kind" in found:
        lines += ["", *_by_kind(found["by_kind"])]
    if told := visible_words(found):
        lines += ["", told]
    return lines


def _by_kind(found: Document) -> list[str]:
    kinds = list(found["kinds"])
    rows = [
        [
            arm["arm"],
            str(point["labels"]),
            with_interval(point["mean"]),
            difference_words(point.get("minus_random")),
            f"{point['worst']['dice']:.3f} ({point['worst']['kind']})",
            *(f"{point['kinds'][kind]:.3f}" for kind in kinds),
        ]
        for arm in found["arms"]
        for point in arm["points"]
    ]
    counted = [f"{kind} ({found['kinds'][kind]})" for kind in kinds]
    head = ["arm", "labels", "mean of kinds [95 %]", "minus random", "worst kind", *counted]
    return [
        f"Dice by {found['column']} (test scans of all seeds in brackets):",
        "",
        *_table(head, rows),
    ]


def _by_class(found: Document, unit: str) -> list[str]:
    rows = [
        [
            name,
            arm["arm"],
            str(point["labels"]),
            with_interval(stats["dice"]),
            with_interval(stats.get("hd"), 1),
            with_interval(stats.get("hd95"), 1),
        ]
        for arm in found["arms"]
        for point in arm["points"]
        for name, stats in point["classes"].items()
    ]
    order = {name: n for n, name in enumerate(dict.fromkeys(row[0] for row in rows))}
    rows.sort(key=lambda row: order[row[0]])
    return _table(["class", "arm", "labels", "Dice", f"HD{unit}", f"HD95{unit}"], rows)


def _penalties(found: Document) -> list[str]:
    labels = ", ".join(map(str, found["labels"]))
    rows = [
        [name, *("" if a == b else f"{value:.2f}" for b, value in enumerate(values))]
        for a, (name, values) in enumerate(zip(found["arms"], found["matrix"], strict=True))
    ]
    table = _table(["beats", *found["arms"]], rows)
    return [f"Pairwise penalty matrix (row beats column; at {labels} labels):", "", *table]


def _method(results: Document) -> str:
    about = results["about"]
    rule = about["rule"]
    if rule["test_patients"]:
        tested = f"given by a list ({counted(len(rule['test_patients']), 'patient')})"
    else:
        tested = f"{100 * rule['test_fraction']:.0f} % of the patients, drawn for each seed"
    count = rule["validation"]
    validation = (
        f"One scan of each of {counted(count, 'validation patient')} chose the best checkpoint. "
        if count
        else "There was no validation: the last weights were measured. "
    )
    start = ""
    if "cold" in results["groups"]:
        start = " (for the first queue, all arms start from no label and Dice 0)"
    draws = about["design"].get("draws", 1)
    drawn = (
        f"Random is drawn {draws} times in each split; its value is the mean of the draws. "
        if draws > 1
        else ""
    )
    return _METHOD.format(tested=tested, validation=validation, start=start, draws=drawn)


def _facts(results: Document) -> list[str]:
    about = results["about"]
    plan = about["plan"] or {}
    facts = {
        "command": f"`{about['command']}`",
        "at": about["at"],
        "seeds": ", ".join(map(str, about["design"]["seeds"])),
        "data": f"{counted(about['scans'], 'scan')} with masks of "
        f"{counted(about['patients'], 'patient')}; classes: {', '.join(about['classes'])}",
        "test scans": "; ".join(
            f"{TITLES[group].lower()}: {', '.join(map(str, found['test_scans']))} by seed"
            for group, found in results["groups"].items()
        ),
        "selection": "at most one scan of a patient before everybody has one"
        if about["one_per_patient"]
        else "",
        "entropy": ""
        if about.get("entropy", "mean") == "mean"
        else f"the mean over the {about['entropy']}, not over all pixels",
        "encoder": f"{about['encoder']}, `{about['encoder_hash']}`",
        "training": "; ".join(_plan_words(plan)),
        "work": f"{counted(results['cells'], 'cell')}, {results['seconds']:,.0f} s of computing",
        "setup": f"`{about['setup']}`",
    }
    facts |= {name: ", ".join(values) for name, values in results["made"].items()}
    return _table(["", ""], [[name, value] for name, value in facts.items() if value])


def _plan_words(plan: Document) -> Iterable[str]:
    for key in ("steps", "batch_size", "patch", "image_size", "spacing", "learning_rate"):
        value: Any = plan.get(key)
        if value is not None:
            shown = "×".join(f"{n:g}" for n in value) if isinstance(value, list) else f"{value:g}"
            yield f"{key.replace('_', ' ')} {shown}"
    yield from plan.get("reasons", ())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [_row(head), _row(["---"] * len(head))]
    return lines + [_row(row) for row in rows]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
