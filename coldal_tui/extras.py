"""How to install what only some people need: one sentence for every message and page."""

from __future__ import annotations


def install(extra: str) -> str:
    """What to type for an extra, such as ``slurm``.

    From the checkout, and not by name from a package index: until the name coldal-tui is ours
    there, anybody could register it, and their code would run on people's machines.
    """
    return f"pip install '.[{extra}]' in the folder of coldal-tui's source"
