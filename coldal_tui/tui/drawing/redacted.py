"""For ``--redact``: hides names in whatever a line of the screen shows, in as many cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from coldal_tui.redaction import active


class Redacted(LineFilter):
    """The last look at a line: what is typed and completed passes nothing else."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        redactor = active()
        if redactor is None or any(control for _, _, control in segments):
            return segments
        line = "".join(text for text, _, _ in segments)
        hidden = list(redactor.hidden(line))
        if not hidden:
            return segments
        shown = [*line]
        for piece in hidden:
            width = cell_len(line[piece.start : piece.end])
            # The first character of a piece carries all of it, the others nothing.
            shown[piece.start] = in_cells(piece.shown, width)
            shown[piece.start + 1 : piece.end] = [""] * (piece.end - piece.start - 1)
        made, at = [], 0
        for text, style, control in segments:
            made.append(Segment("".join(shown[at : at + len(text)]), style, control))
            at += len(text)
        return made


def in_cells(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells; where it is too long, its end, which tells it apart."""
    return set_cell_size(text if len(text) <= width else text[-width:], width)
