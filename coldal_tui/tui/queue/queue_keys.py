"""The keys of the queue's pane."""

from __future__ import annotations

from textual.binding import BindingType

from coldal_tui.tui.verbs import bind

QUEUE_KEYS: list[BindingType] = [
    bind("open", "open", "open", id="queue.open", show=True),
    bind("filter", "filter", "filter", id="queue.filter", show=True),
    bind("mark", "mark", "mark", id="mark.row", show=True),
    bind("skip", "skip", "skip", id="queue.skip", show=True),
    bind("assign", "assign", "assign", id="queue.assign", show=True),
    bind("list", "scope", "another list", id="queue.all"),
    bind("sort", "sort", "sort by a column", id="queue.sort"),
    bind("reverse", "reverse", id="queue.reverse"),
    bind("back", "clear", "clear marks", id="queue.clear"),
    bind("pin", "pin", "pin, or unpin", id="queue.pin"),
    bind("rank-up", "shift(-1)", "up in the round", id="queue.up"),
    bind("rank-down", "shift(1)", "down in the round", id="queue.down"),
    bind("reopen", "reopen", "bring back", id="queue.reopen"),
    bind("exclude", "exclude", id="queue.exclude"),
    bind("alpha", "alpha", "α", id="queue.alpha", show=True, tip="try another α"),
    bind("why", "why", id="queue.why"),
]
