"""A helper process of a training on several GPUs: it trains, too, but writes no result.

``segmentation.ranks`` starts it and tells it by its standard input what to do.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from coldal_compute.segmentation.ranks import READY, Failure, Helper, Rank, failure_file
from coldal_compute.train_step import train_along
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.parents import end_with_parent


def main() -> int:
    """Train until the training ends; returns 0, or 1 if this process failed."""
    end_with_parent()
    # The first process hears of an end, and this one ends with it.
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Helper)
    if os.getppid() != told.parent:
        # It died before this process could be bound to it.
        return 1
    folder = Path(told.folder)
    try:
        train_along(told.spec, folder, Rank(told.number, told.count, told.port), _say_ready)
    except ColdalError as error:
        failure = Failure(error.what, error.where, error.remedy, error.code)
        failure_file(folder, told.number).write_bytes(msgspec.json.encode(failure))
        return 1
    return 0


def _say_ready() -> None:
    """Report readiness, and from then on write messages of this process to the log."""
    os.write(1, READY)
    os.dup2(2, 1)


if __name__ == "__main__":
    sys.exit(main())
