"""The options of commands that hand queued scans out: which scans, to whom, in what form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import completers
from coldal_tui.errors import UsageError

if TYPE_CHECKING:
    from coldal_tui.exchange.deidentify.keys import Dates
    from coldal_tui.project.export.exporting import Wanted

Run = Callable[..., None]

dates_option = click.option(
    "--dates",
    type=click.Choice(["remove", "shift"]),
    help="With --deidentify: leave dates out, or move each patient's.  [default: remove]",
)


def dates_of(said: Dates | None, *, hidden: bool) -> Dates | None:
    """What becomes of dates; None where names stay. Raises UsageError if only dates were said."""
    if said is not None and not hidden:
        raise UsageError(
            "--dates is about --deidentify: without it names and dates go out as they are",
            remedy="add --deidentify, or leave --dates out",
        )
    return (said or "remove") if hidden else None


@dataclass(frozen=True)
class HandedOut:
    """What was said with these options; ``prelabels``: missing ones are predicted first."""

    top: int | None = None
    round_: int | None = None
    cluster: int | None = None
    assign: str | None = None
    overlap: int = 0
    each: int | None = None
    again: bool = False
    slices: str = "all"
    deidentify: bool = False
    dates: Dates | None = None
    prelabels: bool = True
    prelabels_from: str | None = None

    def wanted(self, **more: Any) -> Wanted:
        """As an export reads it, with what only one command asks (``more``). Raises UsageError."""
        from coldal_tui.exchange.exporters.choices import SliceChoice
        from coldal_tui.project.export.exporting import Wanted
        from coldal_tui.project.queue.assign import parse_people

        if self.each is not None and not self.overlap:
            raise UsageError(
                "--raters says how many people draw each scan of the overlap, and there is none",
                remedy="add --overlap N and --assign, or leave --raters out",
            )
        return Wanted(
            top=self.top,
            round_=self.round_,
            cluster=self.cluster,
            again=self.again,
            people=parse_people(self.assign),
            overlap=self.overlap,
            each=self.each or 2,
            slices=SliceChoice.parse(self.slices),
            deidentify=dates_of(self.dates, hidden=self._hidden(bool(more.get("repeats")))),
            prelabels_from=self.prelabels_from,
            **more,
        )

    def _hidden(self, repeats: bool) -> bool:
        """Repeats go out under other names, so that --dates may be said with them."""
        return self.deidentify or (repeats and self.dates is not None)


_OPTIONS = (
    click.option("--top", type=click.IntRange(min=1), help="Only the first so many of the queue."),
    click.option("--round", "round_", type=int, help="Only this round."),
    click.option("--cluster", type=int, help="Only this cluster."),
    click.option(
        "--assign",
        help="Deal out to these people in turn: ana,ben (of a server: its users).",
        shell_complete=completers.complete_people,
    ),
    click.option(
        "--overlap",
        type=click.IntRange(min=0),
        default=0,
        help="So many scans, spread over the queue, go to several people.",
    ),
    click.option(
        "--raters",
        "each",
        type=click.IntRange(min=2),
        help="How many people draw each scan of the overlap.  [default: 2]",
    ),
    click.option("--again", is_flag=True, help="Also scans that are out already."),
    click.option(
        "--slices",
        default="all",
        show_default=True,
        help="Of volumes, for 2-D tools: all or every:N.",
    ),
    click.option(
        "--deidentify",
        is_flag=True,
        help="Pseudonyms, clean headers and images; the keys stay in the project.",
    ),
    dates_option,
    click.option(
        "--no-prelabels",
        "prelabels",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Only the pre-labels that are there already.",
    ),
    click.option(
        "--prelabels-from",
        metavar="NAME",
        help="Prefer the pre-labels of this model (see prelabels), or run: the newest run.",
    ),
)


def handing_out_options(command: Run) -> Run:
    """Add the options to a command, which gets what was said as ``handed``."""

    @wraps(command)
    def run(**said: Any) -> None:
        handed = HandedOut(**{name: said.pop(name) for name in HandedOut.__dataclass_fields__})
        command(handed=handed, **said)

    wrapped: Run = run
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
