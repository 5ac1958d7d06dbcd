"""One thread for each numerical library, in tests and in the processes that they start."""

from __future__ import annotations

import os

from coldal_tui.processors import share_processors

share_processors(os.environ, threads=1)
