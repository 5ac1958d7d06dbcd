"""Tries another α: re-ranks the newest round while α moves; enter keeps the result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from coldal_tui.errors import ColdalError
from coldal_tui.project.queue.rerank import Bench, Reranked, apply, read_bench, rerank
from coldal_tui.tui.pane import Services
from coldal_tui.tui.queue.alpha_preview import leaving, told
from coldal_tui.tui.widgets.alpha_line import AlphaLine


class AlphaTrial:
    """Moves α on ``line``; nothing changes before ``apply``.

    ``ranked`` is called with each new ranking, ``left`` when the trial ends: with True if the
    rows on the screen are the queue now, with False if the queue is as it was.
    """

    def __init__(
        self,
        line: AlphaLine,
        *,
        begun: Callable[[], None],
        ranked: Callable[[Bench, Reranked], None],
        left: Callable[[bool], None],
    ) -> None:
        self.line = line
        self._begun, self._ranked, self._left = begun, ranked, left
        self._bench: Bench | None = None
        self._found: Reranked | None = None
        self._wanted = False
        self._applying = False

    @property
    def active(self) -> bool:
        """Whether a trial is running: the visible rows are a preview."""
        return self._bench is not None

    def begin(self, services: Services) -> None:
        """Read the data of the ranking, then rank; during a trial, do so again."""
        self._wanted = True
        services.read(
            "queue.bench",
            read_bench,
            partial(self._begin, services),
            partial(self._not_possible, services),
        )

    def queue_changed(self, services: Services) -> None:
        """Re-rank after a change of the queue during the trial."""
        if self.active and not self._applying:
            self.begin(services)

    def _not_possible(self, services: Services, error: Exception) -> None:
        self.end()
        words = str(error)
        if isinstance(error, ColdalError):
            words = error.what + (f"\n{error.remedy}" if error.remedy else "")
        services.tell(words)

    def _begin(self, services: Services, bench: Bench) -> None:
        if not self._wanted:
            return
        again, alpha = self.active, self.line.alpha
        self._bench = bench
        if not again:
            self.line.open(bench.alpha)
        self.move(services, alpha if again else bench.alpha)
        self._begun()

    def move(self, services: Services, alpha: float) -> None:
        """Re-rank in a thread; of several requests only the newest α is drawn."""
        bench, self._applying = self._bench, False
        if bench is not None:
            then = partial(self._take, bench)
            services.read("queue.rerank", lambda _: rerank(bench, alpha), then)

    def _take(self, bench: Bench, found: Reranked) -> None:
        if bench is self._bench:
            self._found = found
            self.line.tell(told(bench, found))
            self._ranked(bench, found)

    def apply(self, services: Services) -> None:
        """Ask, then make the preview the queue."""
        bench, found = self._bench, self._found
        if bench is None or found is None or found.alpha != self.line.alpha:
            return
        if found.alpha == bench.alpha and told(bench, found) == "as it is":
            self.end()
            return

        def change() -> None:
            self._applying = True
            work = partial(apply, bench=bench, found=found)
            services.change("re-rank", work, lambda: self._leave(applied=True))

        question = (
            f"Re-rank round {bench.round} with α {found.alpha:.2f}: {told(bench, found)}?\n"
            "Pinned, assigned and exported scans keep their places."
        )
        services.confirm(question, change, yes="re-rank")

    def end(self) -> None:
        """End the trial and show the current queue."""
        self._leave(applied=False)

    def _leave(self, *, applied: bool) -> None:
        was_open = self.active
        self._bench = self._found = None
        self._wanted = self._applying = False
        if was_open:
            self.line.close()
            self._left(applied)

    def title(self) -> str:
        if self._bench is None:
            return ""
        alpha = self._found.alpha if self._found else self._bench.alpha
        return f"1 Queue  round {self._bench.round} with α {alpha:.2f}, a trial"

    def subtitle(self) -> str:
        return leaving(self._found) if self._found else ""
