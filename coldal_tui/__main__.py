"""``python -m coldal_tui``."""

from coldal_tui.cli import main

main()
