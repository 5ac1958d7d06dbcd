"""The app starts without what only a window needs."""

from __future__ import annotations

import subprocess
import sys

LATE = ("coldal_tui.exchange.incoming.importing", "coldal_tui.tui.raters.window", "PIL", "nibabel")


def test_the_app_loads_no_importer_before_a_window_asks_for_one() -> None:
    code = (
        "import sys, coldal_tui.tui.shell.app; print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *LATE], text=True, capture_output=True, check=True
    )
    assert done.stdout == "[]\n"
