"""Messages from the app's threads to the UI; a newer one replaces one not drawn yet."""

from __future__ import annotations

from textual.message import Message

from coldal_tui.tui.pane import View
from coldal_tui.tui.shell.tasks import Task


class News(Message):
    """The reader's newest view; it replaces one that was not drawn yet."""

    def __init__(self, found: View | Exception) -> None:
        super().__init__()
        self.found = found

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, News) and isinstance(self.found, View)


class TaskMoved(Message):
    """The app's own task made progress, or ended (None)."""

    def __init__(self, task: Task | None) -> None:
        super().__init__()
        self.task = task

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TaskMoved)
