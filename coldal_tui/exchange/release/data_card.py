"""The data card of a release: facts, and their text as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from coldal_tui.exchange.release.checksums import CHECKSUMS
from coldal_tui.visible import counted, listed


@dataclass(frozen=True)
class RoundFacts:
    """One round: what picked its scans, how many, and how many of them are in the release."""

    round: int
    strategy: str
    seed: int
    alpha: float | None
    picked: int
    released: int


@dataclass(frozen=True)
class FlowStep:
    """One line of the flow of scans: ``left_out`` steps branch off, the others go on."""

    words: str
    scans: int
    left_out: bool = False


@dataclass(frozen=True)
class ClassAgreement:
    """Two people's drawings of the same scans compared, as the mean over scans and pairs."""

    name: str
    pairs: int
    dice: float
    hd95: float
    unit: str


@dataclass(frozen=True)
class Facts:
    """Everything that the data card says.

    ``created`` is None where dates are left out. ``raters`` counts the labels by who drew them;
    ``minutes`` is the sum over the ``timed`` drawings whose time is known, ``estimated`` of them by
    the pace of returns. ``folds`` are the numbers of scans. ``statement`` says what a
    de-identification removed.
    """

    name: str
    program: str
    created: str | None
    licence: str | None
    format: str
    classes: tuple[str, ...]
    ignored: bool
    scans: int
    patients: int
    held_out: int
    held_out_patients: int
    folds: tuple[int, ...]
    folds_seed: int
    flow: tuple[FlowStep, ...]
    rounds: tuple[RoundFacts, ...]
    unqueued: int
    encoder: str | None
    raters: dict[str, int]
    overlap: int
    agreement: tuple[ClassAgreement, ...] = ()
    minutes: float = 0.0
    timed: int = 0
    estimated: int = 0
    decided: dict[str, int] = field(default_factory=dict)
    statement: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def card_text(facts: Facts, usage: Sequence[str], ignore_value: int) -> str:
    """The data card as Markdown; ``usage`` are the format's own paragraphs."""
    when = f" on {facts.created[:10]}" if facts.created else ""
    held = (
        f", {counted(facts.held_out, 'scan')} of "
        f"{counted(facts.held_out_patients, 'patient')} of them held out"
        if facts.held_out
        else ""
    )
    parts = [
        f"# {facts.name}: data card",
        f"{counted(facts.scans, 'labelled scan')} of {counted(facts.patients, 'patient')}{held}. "
        f"Made by {facts.program}{when}.",
        "## What is here",
        *usage,
        "`release.json` has this card and every scan for programs.",
        "## Label values",
        _values(facts, ignore_value),
        "## Licence",
        facts.licence or "No licence was stated: ask whoever gave you this data set.",
        "## Folds",
        _folds(facts),
        "## Who drew",
        *_raters(facts),
        "## How scans came in and dropped out",
        "```\n" + "\n".join(flow_lines(facts.flow)) + "\n```",
        "## How scans were chosen",
        *_rounds(facts),
        "## Methods, in a paragraph",
        methods(facts),
        "## Is it whole?",
        f"`coldal-tui release verify FOLDER` looks for changed, missing and extra files; "
        f"`sha256sum -c {CHECKSUMS}` finds the changed and missing ones. The files are "
        "read-only: a release is never changed, make a new one.",
    ]
    if facts.statement:
        parts[2:2] = [facts.statement]
    return "\n\n".join(parts) + "\n"


def _values(facts: Facts, ignore_value: int) -> str:
    rows = ["| value | meaning |", "|---|---|", "| 0 | background |"]
    rows += [
        f"| {value} | {name.replace('|', '/')} |"
        for value, name in enumerate(facts.classes, start=1)
    ]
    if facts.ignored:
        rows.append(
            f"| {ignore_value} | ignore: can't be judged; leave out of training and measures |"
        )
    return "\n".join(rows)


def _folds(facts: Facts) -> str:
    if not facts.folds:
        return "None: the scans to train on are of fewer than two patients."
    sizes = ", ".join(f"{size:,}" for size in facts.folds)
    return (
        f"{len(facts.folds)} folds of {sizes} scans (seed {facts.folds_seed}). No patient is in "
        "two of them, and none of a fold is held out."
    )


def _raters(facts: Facts) -> Iterator[str]:
    rows = ["| who | labels |", "|---|---|"]
    rows += [f"| {name} | {count:,} |" for name, count in facts.raters.items()]
    yield "\n".join(rows)
    if facts.decided:
        told = ", ".join(f"{count:,} by {rule}" for rule, count in sorted(facts.decided.items()))
        yield f"Where people disagreed, labels were decided: {told}."
    if facts.timed:
        paced = f"; {facts.estimated:,} by the pace of returns" if facts.estimated else ""
        yield (
            f"{facts.minutes:,.0f} minutes for the {counted(facts.timed, 'drawing')} whose time is "
            f"known ({facts.minutes / facts.timed:.1f} per drawing{paced})."
        )
    if not facts.overlap:
        yield "No scan was drawn by several people: agreement is not known."
        return
    yield (
        f"{counted(facts.overlap, 'scan')} {'was' if facts.overlap == 1 else 'were'} drawn by "
        "several people; their single drawings are in `overlap/`. Agreement, as the mean over "
        "scans and pairs of people:"
    )
    rows = ["| class | pairs | Dice | HD95 |", "|---|---|---|---|"]
    rows += [
        f"| {one.name.replace('|', '/')} | {one.pairs} | {one.dice:.3f} | "
        f"{one.hd95:.1f} {one.unit} |"
        for one in facts.agreement
    ]
    yield "\n".join(rows)


def flow_lines(flow: Sequence[FlowStep]) -> list[str]:
    """The flow of scans as text: what went on, one below the other, and what dropped out."""
    width = max((len(f"{step.scans:,}") for step in flow), default=1)
    lines = []
    for number, step in enumerate(flow):
        if step.left_out:
            lines.append(f"{'':{width}}   ├─ {step.scans:,} {step.words}")
        else:
            if number:
                lines.append(f"{'':{width}}   ↓")
            lines.append(f"{step.scans:{width},}   {step.words}")
    return lines


def _rounds(facts: Facts) -> Iterator[str]:
    if facts.rounds:
        rows = [
            "| round | strategy | seed | alpha | picked | released |",
            "|---|---|---|---|---|---|",
        ]
        rows += [
            f"| {one.round} | {one.strategy} | {one.seed} | "
            f"{'–' if one.alpha is None else f'{one.alpha:g}'} | {one.picked:,} | "
            f"{one.released:,} |"
            for one in facts.rounds
        ]
        yield "\n".join(rows)
    if facts.unqueued:
        are = "label is" if facts.unqueued == 1 else "labels are"
        yield f"{facts.unqueued:,} {are} of scans that nobody queued."
    if not facts.rounds and not facts.unqueued:
        yield "Nothing is known of it."


def methods(facts: Facts) -> str:
    """A paragraph for the methods section of a paper, from the facts alone."""
    usable = next((step.scans for step in facts.flow if step.words.startswith("usable")), None)
    pool = f" from a pool of {usable:,}" if usable else ""
    chosen = facts.scans - facts.unqueued
    said = []
    if facts.rounds and chosen:
        encoder = f" of the encoder {facts.encoder}" if facts.encoder else ""
        first = facts.rounds[0]
        later = list(dict.fromkeys(one.strategy for one in facts.rounds[1:]))
        rule = f"the strategy {first.strategy} (seed {first.seed}) on embeddings{encoder}"
        if later:
            rule += (
                f", and in {counted(len(facts.rounds) - 1, 'later round')} by "
                f"{listed(later)} from the predictions of a segmentation model"
            )
        said.append(
            f"With {facts.program}, {counted(chosen, 'scan')}{pool} were chosen for labelling by "
            f"{rule}."
        )
    if facts.unqueued:
        verb = "label is" if facts.unqueued == 1 else "labels are"
        said.append(f"{facts.unqueued:,} {verb} of scans that people chose themselves.")
    people = [name for name in facts.raters if name != "unknown"]
    drawn = f"by {counted(len(people), 'person', 'people')}" if people else "by people not recorded"
    said.append(
        f"{counted(len(facts.classes), 'class', 'classes')} ({listed(facts.classes)}) "
        f"{'was' if len(facts.classes) == 1 else 'were'} drawn {drawn}."
    )
    if facts.agreement:
        told = ", ".join(f"{one.name} {one.dice:.3f}" for one in facts.agreement)
        said.append(
            f"{counted(facts.overlap, 'scan')} {'was' if facts.overlap == 1 else 'were'} drawn by "
            f"several people, who agreed with a mean Dice of {told}."
        )
    said.append(
        f"The data set has {counted(facts.scans, 'labelled scan')} of "
        f"{counted(facts.patients, 'patient')}."
    )
    if facts.held_out:
        said.append(
            f"{counted(facts.held_out, 'scan')} of {counted(facts.held_out_patients, 'patient')} "
            "were drawn for validation and held out of training."
        )
    if facts.folds:
        said.append(
            f"{'All others' if facts.held_out else 'They'} are divided into {len(facts.folds)} "
            "folds without a shared patient."
        )
    return " ".join(said)
