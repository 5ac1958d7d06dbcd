"""The terminal: what it can show, and how other output is kept off the screen."""

from __future__ import annotations

import contextlib
import io
import locale
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from coldal_tui.tui.drawing.glyphs import Pixels

LOG_BYTES = 1_000_000


def can_unicode() -> bool:
    """Whether the locale's encoding can show the app's glyphs."""
    return locale.getencoding().lower().replace("-", "") in ("utf8", "utf16", "utf32")


@dataclass(frozen=True)
class TerminalAnswer:
    """What the terminal says of itself: its name, and which graphics it draws."""

    name: str = ""
    kitty: bool = False
    sixel: bool = False

    @staticmethod
    def parse(answer: str) -> TerminalAnswer:
        """From the answers to ``QUERY``: a graphics status, a name, device attributes (last)."""
        name = re.search(r"\x1bP>\|([^\x1b]*)\x1b", answer)
        attributes = re.search(r"\x1b\[\?([\d;]*)c", answer)
        return TerminalAnswer(
            name=name[1] if name else "",
            kitty="\x1b_Gi=31;OK" in answer,
            sixel=attributes is not None and "4" in attributes[1].split(";"),
        )


QUERY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[c"
"""The kitty protocol's query, XTVERSION, and DA1, which every terminal answers, so it comes last
(kitty: "Querying support and available transmission mediums" of its graphics protocol). tmux
answers for the terminal around it, sixel included."""
WAIT_S = 3.0
"""For the answers, over a slow line; what comes later would be taken for keys. Hardly a terminal
answers nothing, and then the app starts so much later."""
_PLACEHOLDERS = {"kitty": (0, 28), "ghostty": (0, 0)}
"""Terminals whose kitty graphics stay in place in a terminal app (by Unicode placeholders), and
their first version that has them (kitty's changelog: 0.28.0). Before it, they are boxes."""


def ask_terminal(
    stdin: int = 0, stdout: int = 1, *, meanwhile: Callable[[], object] = lambda: None
) -> TerminalAnswer:
    """Ask the terminal; call it before the app runs, which would get the answers as keys.

    ``meanwhile`` is called while the answers are on their way.
    """
    import select
    import termios
    import tty

    if not (os.isatty(stdin) and os.isatty(stdout)):
        return TerminalAnswer()
    try:
        before = termios.tcgetattr(stdin)
    except termios.error:
        return TerminalAnswer()
    answer = b""
    try:
        tty.setraw(stdin, termios.TCSANOW)
        os.write(stdout, QUERY.encode())
        end = time.monotonic() + WAIT_S
        meanwhile()
        while not re.search(rb"\x1b\[\?[\d;]*c$", answer):
            left = max(0.0, end - time.monotonic())
            if not select.select([stdin], [], [], left)[0]:
                break
            answer += os.read(stdin, 1)  # what was typed after the answers is left for the app
    except OSError:
        return TerminalAnswer()
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)
    return TerminalAnswer.parse(answer.decode("latin-1"))


def choose_protocol(wanted: str, answer: TerminalAnswer) -> str:
    """``kitty``, ``sixel`` or ``""``: what draws pictures for this value of ``--graphics``.

    Where a terminal has both, sixel: most of those draw kitty's pictures over the text.
    """
    if wanted in ("kitty", "sixel"):
        return wanted
    if wanted != "auto":
        return ""
    if answer.sixel:
        return "sixel"
    return "kitty" if answer.kitty and _has_placeholders(answer.name) else ""


def _has_placeholders(name: str) -> bool:
    """Whether a terminal of this name, as ``kitty(0.42.1)``, keeps pictures in their place."""
    said = re.match(r"([a-z]+)\D*(\d+)\.(\d+)", name.lower())
    least = _PLACEHOLDERS.get(said[1]) if said else None
    return said is not None and least is not None and (int(said[2]), int(said[3])) >= least


def choose_pixels(wanted: str, answer: TerminalAnswer, environ: Mapping[str, str]) -> Pixels:
    """How many pixels a cell gets: as asked for, else as many as the terminal's font has.

    Most terminals draw sextants themselves. xterm and Apple's take them from a font, and few
    fonts have them; the Linux console has half-blocks alone.
    """
    if wanted in ("sextants", "quadrants", "blocks"):
        return cast(Pixels, wanted)
    if environ.get("TERM", "").startswith("linux"):
        return "blocks"
    lacks = answer.name.startswith("XTerm") or "XTERM_VERSION" in environ
    if lacks or environ.get("TERM_PROGRAM") == "Apple_Terminal":
        return "quadrants"
    return "sextants"


@contextlib.contextmanager
def private_terminal(log: Path) -> Iterator[None]:
    """Send what libraries write to standard error to ``log``, and draw on a stream of our own.

    C decoders print about damaged files straight to file descriptor 2, where the screen is.
    Textual draws on ``sys.__stderr__``: that becomes a copy of the terminal.
    """
    stream = _open_log(log)
    kept = os.dup(2)
    before = sys.__stderr__
    screen = io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="replace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("coldal_tui")
    logger.addHandler(handler)
    os.dup2(stream.fileno(), 2)
    sys.__stderr__ = screen  # type: ignore[misc]
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
        os.dup2(kept, 2)
        os.close(kept)
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):
            screen.close()
        stream.close()


def _open_log(path: Path) -> io.TextIOWrapper:
    """The app's log, started again when large; discarded when it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old"))
        raw = path.open("ab", buffering=0)
    except OSError:
        raw = Path(os.devnull).open("ab", buffering=0)  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
