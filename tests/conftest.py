"""One thread for each numerical library, in tests and in the processes that they start."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

from coldal_tui.processors import share_processors

share_processors(os.environ, threads=1)

# In the background of a shell Ctrl-C is ignored: commands that tests end by it would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a person trusts is kept in their state folder, and their defaults in that of settings: tests
# and their processes have their own.
os.environ["XDG_STATE_HOME"] = _state = tempfile.mkdtemp(prefix="coldal-state-")
os.environ["XDG_CONFIG_HOME"] = f"{_state}/config"
atexit.register(shutil.rmtree, _state, ignore_errors=True)
