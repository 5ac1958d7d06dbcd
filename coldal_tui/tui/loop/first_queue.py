"""The window of the first queue: how many scans, by which strategy, and what the pool is like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Select, Static

from coldal_tui.project.project import Project
from coldal_tui.tui.loop.loop_steps import Sizes, round_sizes, wrong_size
from coldal_tui.visible import visible

if TYPE_CHECKING:
    from coldal_tui.selection.advice import Advice

LOOKING = "looking at the embeddings …"
NOT_YET = "What the pool is like is known once it is embedded: ctrl+e embeds it and picks nothing."


@dataclass(frozen=True)
class FirstQueue:
    """The answer: ``size`` scans by ``strategy``; ``embed``: embed the pool, and pick nothing."""

    size: int = 0
    strategy: str = ""
    embed: bool = False


@dataclass(frozen=True)
class Offer:
    """What can be chosen: sizes, strategies with their descriptions, and the project's own."""

    sizes: Sizes
    strategies: Sequence[tuple[str, str]]
    default: str


def read_offer(project: Project) -> Offer:
    """Read what the window offers; nothing heavy."""
    from coldal_tui.selection.strategies import strategies

    known = [(one.name, one.description) for one in strategies("cold")]
    return Offer(round_sizes(project, 0), known, project.config.selection.strategy)


def read_advice(project: Project) -> tuple[str, Advice]:
    """Look at the stored embeddings; takes seconds on a pool of thousands. Also returns the aim."""
    from coldal_tui.scheduler.pool_looks import pool_advice

    aim, _, advice = pool_advice(project)
    return aim, advice


class FirstQueueWindow(ModalScreen[FirstQueue | None]):
    """Asks for the first queue; the advice arrives while the window is open."""

    DEFAULT_CSS = """
    FirstQueueWindow { align: center middle; }
    FirstQueueWindow > Vertical { width: 90%; max-width: 100; height: auto; max-height: 90%;
        border: round $accent; background: $surface; padding: 0 1; }
    FirstQueueWindow Horizontal { height: 1; }
    FirstQueueWindow .label { width: 12; }
    FirstQueueWindow Input { width: 1fr; background: $panel; }
    FirstQueueWindow Select { width: 1fr; height: 1; }
    FirstQueueWindow SelectCurrent { border: none; height: 1; padding: 0; background: $panel; }
    FirstQueueWindow VerticalScroll { height: auto; max-height: 14; margin-top: 1; }
    FirstQueueWindow #note { height: auto; }
    FirstQueueWindow #advice { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back"),
        Binding("ctrl+g", "go", "pick", priority=True),
        Binding("ctrl+t", "take", "take the advice", priority=True),
        Binding("ctrl+e", "embed", "embed only", priority=True),
    ]

    def __init__(self, offer: Offer, ask: Callable[[FirstQueueWindow], None] | None) -> None:
        """``ask`` reads the advice and answers with ``advised`` or ``say``; None: not embedded."""
        super().__init__()
        self._offer, self._ask = offer, ask
        self._advice: Advice | None = None

    def compose(self) -> ComposeResult:
        known = any(name == self._offer.default for name, _ in self._offer.strategies)
        with Vertical() as box:
            box.border_title = "Pick the first queue"
            box.border_subtitle = "enter or ctrl+g picks · tab next field · esc back"
            with Horizontal():
                yield Static("how many", classes="label")
                yield Input(
                    value=str(self._offer.sizes.default), type="integer", id="size", compact=True
                )
            with Horizontal():
                yield Static("strategy", classes="label")
                yield Select(
                    [(f"{name}: {visible(told)}", name) for name, told in self._offer.strategies],
                    value=self._offer.default if known else Select.NULL,
                    prompt=f"{self._offer.default}: unknown here",
                    allow_blank=not known,
                    id="strategy",
                    compact=True,
                )
            yield Static(Text(f"{self._offer.sizes.left:,} of the budget left"), id="note")
            with VerticalScroll(can_focus=False):
                yield Static(Text(LOOKING if self._ask else NOT_YET), id="advice")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#size", Input).focus()
        if self._ask is not None:
            self._ask(self)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "embed":
            return self._ask is None
        if action == "take":
            return self._advice is not None
        return True

    def advised(self, found: tuple[str, Advice]) -> None:
        """Show the advice for an aim; nothing is chosen by it."""
        if not self.is_attached:
            return
        aim, advice = found
        self._advice = advice
        text = Text()
        for sentence in advice.because:
            text.append(f"· {visible(sentence)}\n")
        text.append(f"\nfor the aim {aim!r}: ")
        text.append(advice.strategy, style="bold")
        if advice.strategy != self._offer.default:
            text.append("  (ctrl+t takes it)")
        if advice.one_per_patient:
            text.append("\nwith one_per_patient = true under [selection] in coldal.toml")
        text.append(f"\nmeasured: {advice.measured}", style="dim")
        self.query_one("#advice", Static).update(text)
        self.refresh_bindings()

    def say(self, text: str) -> None:
        """Show why there is no advice."""
        if self.is_attached:
            self.query_one("#advice", Static).update(Text(visible(text, keep="\n")))

    def action_take(self) -> None:
        if self._advice is not None:
            self.query_one("#strategy", Select).value = self._advice.strategy

    def action_embed(self) -> None:
        self.dismiss(FirstQueue(embed=True))

    @on(Input.Submitted)
    def action_go(self) -> None:
        typed = self.query_one("#size", Input).value.strip()
        strategy = self.query_one("#strategy", Select).value
        problem = wrong_size(typed)
        if not problem and not isinstance(strategy, str):
            problem = "choose a strategy"
        if problem:
            self.query_one("#note", Static).update(Text(problem, style="bold"))
            return
        self.dismiss(FirstQueue(size=int(typed), strategy=str(strategy)))

    def action_close(self) -> None:
        self.dismiss(None)
