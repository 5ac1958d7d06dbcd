"""The keys of the queue's pane."""

from __future__ import annotations

from textual.binding import Binding, BindingType

QUEUE_KEYS: list[BindingType] = [
    Binding("enter", "open", "open", id="queue.open"),
    Binding("slash", "filter", "filter", key_display="/", id="queue.filter"),
    Binding("space", "mark", "mark", key_display="space", id="mark.row"),
    Binding("s", "sort", "sort by a column", show=False, id="queue.sort"),
    Binding("S", "reverse", "reverse the order", show=False, id="queue.reverse"),
    Binding("A", "scope", "queue, every round, all scans", show=False, id="queue.all"),
    Binding("escape", "clear", "clear marks, then the filter", show=False, id="queue.clear"),
    Binding("x", "skip", "skip", id="queue.skip"),
    Binding("p", "pin", "pin to the top, or unpin", show=False, id="queue.pin"),
    Binding("t", "assign", "assign", id="queue.assign"),
    Binding("K,shift+up", "shift(-1)", "move up in rank", show=False, id="queue.up"),
    Binding("J,shift+down", "shift(1)", "move down in rank", show=False, id="queue.down"),
    Binding("o", "reopen", "bring back", show=False, id="queue.reopen"),
    Binding("X", "exclude", "exclude for good", show=False, id="queue.exclude"),
    Binding("a", "alpha", "α", id="queue.alpha"),
    Binding("w", "why", "why this scan", show=False, id="queue.why"),
]
