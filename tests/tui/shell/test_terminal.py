"""What terminals answer, and how pictures are drawn in them."""

from __future__ import annotations

import contextlib
import os
import pty
import termios
import threading
import tty

import pytest

from coldal_tui.tui.shell.terminal import (
    QUERY,
    TerminalAnswer,
    ask_terminal,
    choose_pixels,
    choose_protocol,
)

KITTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.42.1)\x1b\\\x1b[?62;52;c"
OLD_KITTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[?62;c"
GHOSTTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|ghostty 1.0.1\x1b\\\x1b[?62;22c"
XTERM = "\x1bP>|XTerm(390)\x1b\\\x1b[?64;1;2;4;6;9;15;22c"
WEZTERM = "\x1b_Gi=31;OK\x1b\\\x1bP>|WezTerm 2024\x1b\\\x1b[?65;4;6;18;22c"
KONSOLE = "\x1b_Gi=31;OK\x1b\\\x1bP>|Konsole 23\x1b\\\x1b[?62;1c"
TMUX = "\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c"
PLAIN = "\x1b[?64;14c"


@pytest.mark.parametrize(
    ("answer", "protocol", "pixels"),
    [
        (KITTY, "kitty", "sextants"),
        (OLD_KITTY, "", "sextants"),
        (GHOSTTY, "kitty", "sextants"),
        (XTERM, "sixel", "quadrants"),
        (WEZTERM, "sixel", "sextants"),
        (KONSOLE, "", "sextants"),
        (TMUX, "sixel", "sextants"),
        (PLAIN, "", "sextants"),
        ("", "", "sextants"),
    ],
)
def test_what_a_terminal_answers_decides(answer: str, protocol: str, pixels: str) -> None:
    found = TerminalAnswer.parse(answer)
    assert choose_protocol("auto", found) == protocol
    assert choose_pixels("auto", found, {}) == pixels


def test_what_a_person_asks_for_counts() -> None:
    found = TerminalAnswer.parse(XTERM)
    assert choose_protocol("kitty", found) == "kitty"
    assert choose_protocol("cells", found) == ""
    assert choose_pixels("blocks", found, {}) == "blocks"
    assert choose_pixels("cells", TerminalAnswer(), {"TERM": "linux"}) == "blocks"


@pytest.mark.parametrize("typed", [b"", b"q", b"\x1b[B:quit\r"])
def test_the_answers_are_read_and_what_is_typed_after_them_is_left_for_the_app(
    typed: bytes,
) -> None:
    outer, inner = pty.openpty()
    asked: list[bytes] = []

    def terminal() -> None:
        while QUERY.encode() not in b"".join(asked):
            asked.append(os.read(outer, 1024))
        os.write(outer, XTERM.encode() + typed)

    thread = threading.Thread(target=terminal)
    thread.start()
    try:
        answer = ask_terminal(inner, inner, meanwhile=thread.join)
        assert answer == TerminalAnswer("XTerm(390)", kitty=False, sixel=True)
        tty.setraw(inner, termios.TCSANOW)
        os.set_blocking(inner, False)
        left = b""
        with contextlib.suppress(BlockingIOError):
            left = os.read(inner, 100)
        assert left == typed
    finally:
        os.close(outer)
        os.close(inner)


def test_no_terminal_is_not_asked() -> None:
    read, write = os.pipe()
    assert ask_terminal(read, write) == TerminalAnswer()
    os.close(read)
    os.close(write)
