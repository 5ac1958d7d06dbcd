"""The actions behind the loop's keys: next step, export, import, undo."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from textual.app import App

from coldal_tui.project.project import Project
from coldal_tui.project.servers.states import ServerState
from coldal_tui.tui.drawing.styles import clock_time
from coldal_tui.tui.loop.class_questions import Preview
from coldal_tui.tui.loop.exchange_dialogs import ExportWindow, ImportWindow
from coldal_tui.tui.loop.first_queue import (
    FirstQueue,
    FirstQueueWindow,
    Offer,
    read_advice,
    read_offer,
)
from coldal_tui.tui.loop.loop_steps import (
    ExportWish,
    ImportWish,
    LastAction,
    Sizes,
    check_wish,
    export_scans,
    import_returned,
    import_words,
    index_images,
    last_action,
    pull_drawings,
    push_scans,
    redo_last,
    round_sizes,
    submit_first_queue,
    submit_next_batch,
    undo_last,
    wrong_size,
)
from coldal_tui.tui.loop.seen_failures import SeenFailures
from coldal_tui.tui.pane import Progress, Services
from coldal_tui.visible import counted

_TOLD = 2
"""Masks whose reason a finished import names: the labels pane has them all."""


class LoopServices(Services, Protocol):
    """The services that the loop needs beyond those of panes."""

    def long_change(
        self,
        title: str,
        work: Callable[[Project, Progress], str | None],
        then: Callable[[], None] | None = None,
        *,
        server: bool = False,
        cancelled: str = "nothing was changed",
    ) -> None:
        """Like ``change``, with progress and a way to cancel; ``server``: beside other changes."""

    def fail(self, error: Exception) -> None:
        """Show an error dialog: what, where and remedy."""


class LoopActions:
    """Asks only for what can't be derived, then runs the action."""

    def __init__(
        self,
        app: App[None],
        services: LoopServices,
        *,
        show_pane: Callable[[str], None],
        show_log: Callable[[int], None],
        filter_queue: Callable[[str], None],
        failures: SeenFailures,
    ) -> None:
        self._app, self._services = app, services
        self._show_log, self._failures = show_log, failures
        self._show_pane, self._filter_queue = show_pane, filter_queue
        self._last_import = ""
        self._imported: set[Path] = set()

    def step(self, *, ask: bool = False) -> None:
        """Run the next recommended step; with ``ask``, what begins at once is asked about."""
        view = self._services.view
        if view is None:
            return
        step = self._failures.step(view.snapshot)
        does: dict[str, Callable[[], None]] = {
            "index": lambda: self._services.long_change("index", index_images),
            "select": self._first_queue,
            "next": self._next_batch,
            "train": lambda: self._services.submit("train", [("train", {})]),
            "export": self.export,
            "import": self.take_back,
            "push": self.push,
            "pull": self.pull,
            "quarantine": lambda: self._show_pane("labels"),
            "disputes": self._disputes,
            "skipped": lambda: self._filter_queue("status:skipped"),
            "wait": lambda: self._show_pane("jobs"),
            "hook": lambda: self._show_pane("jobs"),
            "failed": lambda: self._show_log(view.snapshot.failed[0].job_id),
        }
        if ask and step.action in ("index", "train"):
            self._services.confirm(f"{step.text}?", does[step.action])
        elif step.action in does:
            does[step.action]()
        else:
            self._services.tell(step.text)

    def _disputes(self) -> None:
        # Imported when it is opened: it knows importers, and the app starts faster without.
        from coldal_tui.tui.raters.window import DisputesWindow

        self._app.push_screen(DisputesWindow(self._services))

    def undo(self) -> None:
        """Ask about the last action, whoever did it, then take back that one and no other."""

        def ask(last: LastAction) -> None:
            # A key that is held down asks again before the first question is there.
            if not self._app.screen.is_modal:
                self._services.confirm(last.question, partial(take, last.number), yes="take back")

        def take(number: int) -> None:
            self._services.change("undo", partial(undo_last, expected=number))

        self._services.read("undo", last_action, ask, self._services.fail)

    def redo(self) -> None:
        self._services.change("redo", redo_last)

    def _first_queue(self) -> None:
        """Ask for size and strategy, with advice as soon as the embeddings are looked at."""
        view = self._services.view
        if view is None or self._services.readonly:
            return
        embedded = view.snapshot.embedded > 0

        def advise(window: FirstQueueWindow) -> None:
            failed = partial(_tell_no_advice, window)
            self._services.read("advice", read_advice, window.advised, failed)

        def go(wish: FirstQueue | None) -> None:
            if wish is None:
                return
            if wish.embed:
                self._services.submit("embed", [("embed", {})])
                return
            submit = partial(submit_first_queue, size=wish.size, strategy=wish.strategy)
            self._services.change("Pick the first queue", submit)

        def show(offer: Offer) -> None:
            self._app.push_screen(FirstQueueWindow(offer, advise if embedded else None), go)

        self._services.read("sizes", read_offer, show, self._services.fail)

    def _next_batch(self) -> None:
        """Ask for the size of the batch with the default filled in."""
        view = self._services.view
        if view is None:
            return
        snapshot = view.snapshot
        number = len(snapshot.rounds)

        def ask(found: Sizes) -> None:
            why = self._failures.step(snapshot).text
            prompt = f"{why}\n\nHow many scans? {found.left:,} of the budget left."
            title = "Pick the next batch"
            self._services.ask(title, prompt, self._submit_batch, value=str(found.default))

        work = partial(round_sizes, number=number)
        self._services.read("sizes", work, ask, self._services.fail)

    def _submit_batch(self, answer: str) -> None:
        if problem := wrong_size(answer):
            self._services.tell(problem, error=True)
            return
        submit = partial(submit_next_batch, size=int(answer))
        self._services.change("Pick the next batch", submit)

    # --- handing scans out

    def export(self) -> None:
        view = self._services.view
        if view is None or self._services.readonly:
            return
        from coldal_tui.exchange.exporters import describe_formats, export_formats

        budget = view.snapshot.budget
        if not budget.queued and not budget.exported:
            self._services.tell("nothing is queued: n picks scans", error=True)
            return
        words = describe_formats()
        formats = [(name, words.get(name, "of another package")) for name in export_formats()]
        window = ExportWindow(
            budget.queued, budget.exported, formats, self._services.root, self._check_export
        )

        def go(wish: ExportWish | None) -> None:
            if wish is not None:
                self._services.long_change(
                    "export", lambda project, progress: export_scans(project, wish, progress)
                )

        self._app.push_screen(window, go)

    def _check_export(self, window: ExportWindow, wish: ExportWish) -> None:
        """Ask in a thread whether the export can be made; the dialog shows why not."""
        self._services.read(
            "export.check",
            partial(check_wish, wish=wish),
            lambda _: window.checked(wish),
            window.say,
        )

    # --- servers of labelers

    def push(self, name: str = "") -> None:
        """Ask what goes to whom on a server, then push in the background."""
        view = self._services.view
        if view is None or self._services.readonly:
            return
        server = self._server(name, "push to", self.push)
        if server is None:
            return
        budget = view.snapshot.budget
        window = ExportWindow(
            budget.queued,
            budget.exported,
            (),
            self._services.root,
            self._check_export,
            server=server.name,
        )

        def go(wish: ExportWish | None) -> None:
            if wish is not None:
                self._services.long_change(
                    f"push to {wish.server}",
                    lambda project, progress: push_scans(project, wish, progress),
                    server=True,
                    cancelled="the next push goes on",
                )

        self._app.push_screen(window, go)

    def pull(self, name: str = "") -> None:
        """Pull from a server in the background, after a question."""
        if self._services.view is None or self._services.readonly:
            return
        server = self._server(name, "pull from", self.pull)
        if server is None:
            return
        there = f"{counted(server.out, 'scan')} out, {server.drawn:,} drawn"
        now = datetime.now().astimezone()
        at = server.asked_at
        asked = f"last asked {clock_time(at, now)}" if at else "never asked yet"
        question = f"Pull what is drawn from {server.name}?\n\n{there}; {asked}"
        self._services.confirm(question, partial(self._pull, server.name), yes="pull")

    def _pull(self, name: str) -> None:
        self._services.long_change(
            f"pull from {name}",
            lambda project, progress: pull_drawings(project, name, progress),
            server=True,
            cancelled="the next pull goes on",
        )

    def _server(self, name: str, what: str, again: Callable[[str], None]) -> ServerState | None:
        """The server that is meant; with several, ``again`` is called with the chosen one."""
        view = self._services.view
        known = {one.name: one for one in view.snapshot.servers} if view is not None else {}
        if not known:
            add = "coldal-tui connect add label-studio URL --project N"
            self._services.tell(f"the project has no server of labelers: {add}", error=True)
        elif not name and len(known) > 1:
            options = [(key, f"{key}: {one.url}") for key, one in known.items()]
            self._services.choose(what, options, again)
        else:
            return known.get(name or next(iter(known)))
        return None

    # --- taking masks back

    def take_back(self) -> None:
        if self._services.view is None or self._services.readonly:
            return
        bases = self._services.root, Path.cwd()
        window = ImportWindow(bases, self._returned() or self._last_import, self._preview)
        self._app.push_screen(window, self._import)

    def _returned(self) -> str:
        """The folder for masks of the newest export, if it lies in the project.

        With several people, the first such folder that is not empty and that was not imported
        since the app was started.
        """
        root = self._services.root
        exports = sorted(path for path in (root / "exports").glob("*") if path.is_dir())
        if not exports:
            return ""
        newest, names = exports[-1], ("masks", "returned")
        places = [
            place for name in names for place in sorted([newest / name, *newest.glob(f"*/{name}")])
        ]
        folders = [place for place in places if place.is_dir()]
        filled = [folder for folder in folders if any(folder.iterdir())]
        if filled:
            folders = [folder for folder in filled if folder not in self._imported]
        return str(folders[0].relative_to(root)) if folders else ""

    def _import(self, wish: ImportWish | None) -> None:
        if wish is None:
            return
        self._last_import = str(wish.path)
        self._imported.add(wish.path.absolute())

        def work(project: Project, progress: Progress) -> str:
            lines = import_words(import_returned(project, wish, progress), _TOLD)
            return "\n".join([*lines, "every file: 5 Labels, s to the inbox"])

        self._services.long_change("import", work)

    def _preview(self, window: ImportWindow, wish: ImportWish) -> None:
        """Make a dry run in a thread; the dialog shows the result or the error."""

        def work(project: Project) -> Preview:
            report = import_returned(project, wish, lambda *_: None, dry_run=True)
            classes = project.config.classes.names
            return Preview(import_words(report), report.unknown, classes)

        self._services.read(
            "preview",
            work,
            partial(window.previewed, wish),
            lambda error: window.say(str(error)),
        )


def _tell_no_advice(window: FirstQueueWindow, error: Exception) -> None:
    window.say(f"no advice: {error}")
