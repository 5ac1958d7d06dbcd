"""The steps of the loop as actions of the app: the next one, export, import."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.screen import Screen

from coldal_tui.project.project import Project
from coldal_tui.tui.shell import actions as flows
from coldal_tui.tui.shell.actions import ExportWish, ImportWish, Sizes
from coldal_tui.tui.shell.class_questions import Preview
from coldal_tui.tui.shell.exchange_dialogs import ExportWindow, ImportWindow
from coldal_tui.tui.shell.pane_manager import Paned
from coldal_tui.tui.shell.tasks import Progress

_TOLD = 2
"""Masks whose reason a finished import names: the labels pane has them all."""


class Stepping(Paned):
    """What ``n``, ``e`` and ``i`` do."""

    _last_import = ""

    def action_step(self) -> None:
        """The next sensible step, asking only what can't be guessed."""
        if self._view is None:
            return
        step = self._view.snapshot.next
        does: dict[str, Callable[[], None]] = {
            "index": self._index,
            "select": partial(self._round, "Pick the first queue", flows.select),
            "next": partial(self._round, "Pick the next batch", flows.next_round),
            "train": lambda: self.submit("train", [("train", {})]),
            "export": self.action_export,
            "import": self.action_import,
            "quarantine": lambda: self.action_pane("labels"),
            "skipped": lambda: self._filter_queue("status:skipped"),
            "wait": lambda: self.action_pane("jobs"),
        }
        if step.action in does:
            does[step.action]()
        else:
            self.tell(step.text)

    def _index(self) -> None:
        self.long_change("index", flows.index)

    def _round(self, title: str, submit: Callable[[Project, int | None], str]) -> None:
        """Ask for the size of the round with the default filled in."""
        assert self._view is not None
        snapshot = self._view.snapshot
        number = len(snapshot.rounds)

        def ask(found: Sizes) -> None:
            prompt = f"{snapshot.next.text}\n\nHow many scans? {found.left:,} of the budget left."
            self.ask(
                title, prompt, partial(self._submit_round, title, submit), value=str(found.default)
            )

        self.read("sizes", lambda project: flows.sizes(project, number), ask, self.fail)

    def _submit_round(
        self, title: str, submit: Callable[[Project, int | None], str], answer: str
    ) -> None:
        if not answer.isdigit() or int(answer) < 1:
            self.tell(f"{answer or 'nothing'}: write a whole number, at least 1", error=True)
            return
        self.change(title, lambda project: submit(project, int(answer)))

    # --- handing scans out

    def action_export(self) -> None:
        if self._view is None or self._readonly:
            return
        from coldal_tui.exchange.exporters import describe_formats, export_formats

        budget = self._view.snapshot.budget
        if not budget.queued and not budget.exported:
            self.tell("nothing is queued: n picks scans", error=True)
            return
        words = describe_formats()
        formats = [(name, words.get(name, "of another package")) for name in export_formats()]
        window = ExportWindow(budget.queued, budget.exported, formats, self._root)

        def go(wish: ExportWish | None) -> None:
            if wish is not None:
                self.long_change(
                    "export", lambda project, progress: flows.export(project, wish, progress)
                )

        self.push_screen(window, go)

    # --- taking masks back

    def action_import(self) -> None:
        if self._view is None or self._readonly:
            return
        window = ImportWindow((self._root, Path.cwd()), self._last_import or self._returned())
        self.push_screen(window, self._import)

    def _returned(self) -> str:
        """Where masks of the newest export are put, if it lies in the project."""
        exports = sorted(path for path in (self._root / "exports").glob("*") if path.is_dir())
        for name in ("masks", "returned"):
            if exports and (exports[-1] / name).is_dir():
                return str((exports[-1] / name).relative_to(self._root))
        return ""

    def _import(self, wish: ImportWish | None) -> None:
        if wish is None:
            return
        self._last_import = str(wish.path)

        def work(project: Project, progress: Progress) -> str:
            lines = flows.import_words(flows.take_in(project, wish, progress), _TOLD)
            return "\n".join(lines)

        self.long_change("import", work)

    def preview_import(self, window: Screen[ImportWish | None], wish: ImportWish) -> None:
        """A dry run in a thread; the window shows what would happen, or why it can't."""
        assert isinstance(window, ImportWindow)

        def work(project: Project) -> Preview:
            report = flows.take_in(project, wish, lambda *_: None, dry_run=True)
            classes = project.config.classes.names
            return Preview(flows.import_words(report), report.unknown, classes)

        self.read(
            "preview",
            work,
            partial(window.previewed, wish),
            lambda error: window.say(str(error)),
        )
