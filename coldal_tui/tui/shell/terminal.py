"""The terminal: what it can show, and how other output is kept off the screen."""

from __future__ import annotations

import contextlib
import io
import locale
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

LOG_BYTES = 1_000_000


def can_unicode() -> bool:
    """Whether the locale's encoding can show the app's glyphs."""
    return locale.getencoding().lower().replace("-", "") in ("utf8", "utf16", "utf32")


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
