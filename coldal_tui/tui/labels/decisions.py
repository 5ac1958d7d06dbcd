"""Decisions on masks and labels: accept, try again, confirm as empty, reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coldal_tui.project.project import Project
from coldal_tui.project.views.label_view import WaitingLine
from coldal_tui.tui.pane import Services
from coldal_tui.visible import counted, visible

if TYPE_CHECKING:
    from coldal_tui.exchange.candidate import FramesBy

SAME_GRID, RESAMPLE, EMPTY, OTHER = "same-grid", "resample", "empty", "scan"
POSITION, SOURCE = "position", "source"
_READINGS: Mapping[str, FramesBy] = {POSITION: "position", SOURCE: "source"}
_FRAMES = "frames-disagree"


@dataclass(frozen=True)
class Deciding:
    """Asks and changes through ``services``; ``here`` is the app's current scan."""

    services: Services
    here: str | None = None

    def retry(self, lines: Sequence[WaitingLine]) -> None:
        """Try masks again after files or coldal.toml were corrected."""
        self._again(lines, f"try {counted(len(lines), 'mask')} again")

    def confirm_empty(self, lines: Sequence[WaitingLine]) -> None:
        """Accept empty masks as negative cases, after a confirmation."""
        empty = [line for line in lines if line.code == "empty"]
        if not empty:
            self.services.tell("only a mask that was found empty can be confirmed as empty")
            return
        question = (
            f"{_named(empty)}: take {'it' if len(empty) == 1 else 'them'} as showing none of the "
            "classes?"
        )
        self.services.confirm(
            question,
            lambda: self._again(empty, "confirm as empty", confirm_empty=True),
        )

    def accept(self, lines: Sequence[WaitingLine]) -> None:
        """Accept a mask despite its header, with resampling, or for another scan."""
        options = [
            (SAME_GRID, "same grid: its voxels lie on the scan's, whatever its header says"),
            (RESAMPLE, "resample: its spacing may be changed to the scan's"),
        ]
        if any(line.code == "empty" for line in lines):
            options.insert(0, (EMPTY, "empty: it truly shows none of the classes"))
        if any(line.code == _FRAMES for line in lines):
            options[:0] = [
                (POSITION, "position: the frames lie where their positions say"),
                (SOURCE, "source: the frames lie on the slices that they name"),
            ]
        if len(lines) == 1:
            options.append((OTHER, "another scan: it belongs to one that you name"))

        def chosen(key: str) -> None:
            if key == OTHER:
                self._for_another(lines[0])
            else:
                self._again(
                    lines,
                    f"accept {_named(lines)}",
                    same_grid=key == SAME_GRID,
                    resample=key == RESAMPLE,
                    confirm_empty=key == EMPTY,
                    frames_by=_READINGS.get(key, ""),
                )

        self.services.choose(f"accept {_named(lines)}", options, chosen)

    def _for_another(self, line: WaitingLine) -> None:
        def named(scan_id: str) -> None:
            if scan_id.strip():
                self._again([line], "accept", scan_id=scan_id.strip())

        self.services.ask(
            f"accept {_named([line])}",
            "for which scan?",
            named,
            value=line.scan_id or self.here or "",
        )

    def _again(
        self,
        lines: Sequence[WaitingLine],
        title: str,
        *,
        scan_id: str | None = None,
        same_grid: bool = False,
        resample: bool = False,
        confirm_empty: bool = False,
        frames_by: FramesBy = "",
    ) -> None:
        numbers = [str(line.number) for line in lines]

        def work(project: Project) -> str:
            from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
            from coldal_tui.project.labels.quarantine import select_waiting
            from coldal_tui.project.labels.retry import retry_quarantined

            options = ImportOptions(
                same_grid=same_grid,
                resample=resample,
                confirm_empty=confirm_empty,
                frames_by=frames_by,
            )
            rows = select_waiting(project, numbers)
            results = retry_quarantined(project, rows, options, scan_id=scan_id)
            done = [result for result in results if result.accepted]
            left = [result for result in results if not result.accepted]
            if len(results) == 1 and done:
                return f"mask {done[0].quarantine_id} is the label of {done[0].scan_id}"
            words = [f"{len(done)} of {counted(len(results), 'mask')} accepted"] if done else []
            words += [f"{result.quarantine_id}: {result.message}" for result in left[:3]]
            words += [f"and {len(left) - 3} more"] if len(left) > 3 else []
            return "\n".join(words)

        if numbers:
            self.services.change(title, work)

    def reject_masks(self, lines: Sequence[WaitingLine]) -> None:
        """Reject quarantined masks for good."""
        numbers = [str(line.number) for line in lines]

        def work(project: Project) -> str:
            from coldal_tui.project.labels.quarantine import reject_quarantined, select_waiting

            reject_quarantined(project, select_waiting(project, numbers))
            return f"left out {counted(len(numbers), 'mask')}; the files are kept (z takes it back)"

        self.services.confirm(
            f"leave {_named(lines)} out for good? The files stay where they are.",
            lambda: self.services.change("reject", work),
            yes="leave out",
        )

    def reject_labels(self, scan_ids: Sequence[str]) -> None:
        """Reject labels, with a reason; their scans are to be labelled again."""
        what = scan_ids[0] if len(scan_ids) == 1 else counted(len(scan_ids), "label")

        def because(reason: str) -> None:
            def work(project: Project) -> str:
                from coldal_tui.project.labels.importing import reject_labels

                reject_labels(project, list(scan_ids), reason.strip() or None)
                return f"took back {counted(len(scan_ids), 'label')}; the files are kept"

            why = f" ({visible(reason.strip())})" if reason.strip() else ""
            self.services.confirm(
                f"take back the label of {visible(what)}{why}? The scan goes out again.",
                lambda: self.services.change("reject", work),
                yes="take back",
            )

        self.services.ask(f"take back {what}", "why? (it may stay empty)", because)


def _named(lines: Sequence[WaitingLine]) -> str:
    if len(lines) == 1:
        return f"mask {lines[0].number}"
    return counted(len(lines), "mask")
