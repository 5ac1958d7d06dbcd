"""The dialogs for an export and an import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Checkbox, Footer, Input, Select, Static

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.queue.assign import parse_people
from coldal_tui.tui.loop.class_questions import Meanings, Preview
from coldal_tui.tui.loop.loop_steps import ExportWish, ImportWish
from coldal_tui.visible import counted, visible

_CSS = """
$NAME { align: center middle; }
$NAME > Vertical { width: 90%; max-width: 100; height: auto; max-height: 90%;
    border: round $accent; background: $surface; padding: 0 1; }
$NAME Horizontal { height: 1; margin: 0; }
$NAME Input { width: 1fr; background: $panel; }
$NAME Input.number { width: 7; margin: 0 1 0 0; }
$NAME Horizontal > Static { width: auto; }
$NAME Horizontal > .label { width: 18; }
$NAME Checkbox { border: none; padding: 0; height: 1; background: $surface; }
$NAME Select { width: 1fr; height: 1; }
$NAME SelectCurrent { border: none; height: 1; padding: 0; background: $panel; }
$NAME #note { height: auto; margin-top: 1; }
$NAME #preview { height: auto; max-height: 14; margin-top: 1; }
"""


class Tick(Checkbox):
    """A checkbox whose state is a glyph, not a shade."""

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")


class PathSuggester(Suggester):
    """Completes a path from the files on disk; folders end with a slash."""

    def __init__(self, *bases: Path) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._bases = bases

    async def get_suggestion(self, value: str) -> str | None:
        found = (complete_path(base, value) for base in self._bases)
        return next((path for path in found if path is not None), None)


def complete_path(base: Path, value: str) -> str | None:
    """The first entry, by name, that starts with ``value``; None if there is none."""
    typed = Path(value).expanduser()
    whole = base / typed
    folder = whole if value.endswith("/") else whole.parent
    start = "" if value.endswith("/") else whole.name
    if not value:
        return None
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return None
    for entry in entries:
        hidden = entry.name.startswith(".") and not start.startswith(".")
        if entry.name.startswith(start) and not hidden and entry.name != start:
            return value[: len(value) - len(start)] + entry.name + ("/" if entry.is_dir() else "")
        if entry.name == start and entry.is_dir() and not value.endswith("/"):
            return f"{value}/"
    return None


def _number(name: str, default: str) -> Input:
    """A short field for a whole number; empty means ``default``."""
    return Input(placeholder=default, type="integer", id=name, classes="number", compact=True)


class ExportWindow(ModalScreen[ExportWish | None]):
    """The export dialog: how many scans, for whom, in which format."""

    DEFAULT_CSS = _CSS.replace("$NAME", "ExportWindow")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back"),
        Binding("ctrl+g", "go", "go", priority=True),
    ]

    def __init__(
        self,
        queued: int,
        out: int,
        formats: Sequence[tuple[str, str]],
        base: Path,
        check: Callable[[ExportWindow, ExportWish], None],
        *,
        server: str = "",
    ) -> None:
        """``formats``: names and their descriptions; relative paths start at ``base``.

        ``server``: the connection that the scans are pushed to, in place of files. ``check`` asks
        whether the export can be made, and answers with ``checked`` or ``say``.
        """
        super().__init__()
        self._queued, self._out, self._formats, self._base = queued, out, tuple(formats), base
        self._check, self._server = check, server

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            server, scans = visible(self._server), counted(self._queued, "queued scan")
            does = "pushes" if server else "exports"
            box.border_title = Text(f"Push to {server}" if server else "Export the queue")
            box.border_subtitle = f"enter or ctrl+g {does} · tab next field · esc back"
            whom = f"push to {server}" if server else "hand to labelers"
            yield Static(Text(f"{scans} to {whom}\n"))
            with Horizontal():
                yield Static("how many", classes="label")
                yield Input(
                    placeholder="all that are queued", type="integer", id="top", compact=True
                )
            with Horizontal():
                yield Static("to", classes="label")
                names = "users of the server" if server else "names"
                yield Input(
                    placeholder=f"{names}, dealt in turn: ana,ben", id="people", compact=True
                )
            with Horizontal():
                yield Static("drawn by several", classes="label")
                yield _number("overlap", "0")
                yield Static("scans, by ")
                yield _number("each", "2")
                yield Static("people each")
            if not self._server:
                yield from self._file_fields()
            if self._out:
                yield Tick(f"also the {self._out:,} that are out already", id="again", compact=True)
            yield Tick("de-identified: names, ids and dates left out", id="hidden", compact=True)
            yield Static("", id="note")
        yield Footer()

    def _file_fields(self) -> ComposeResult:
        """What only an export to files has."""
        with Horizontal():
            yield Static("hidden checks", classes="label")
            yield _number("honeypots", "0")
            yield Static("known scans, ")
            yield _number("repeats", "0")
            yield Static("repeats, each person")
        with Horizontal():
            yield Static("for", classes="label")
            yield Select(
                [(f"{name}: {words}", name) for name, words in self._formats],
                value=self._formats[0][0],
                allow_blank=False,
                id="format",
                compact=True,
            )
        with Horizontal():
            yield Static("into", classes="label")
            yield Input(
                placeholder="a new folder below exports/",
                id="out",
                compact=True,
                suggester=PathSuggester(self._base),
            )

    def on_mount(self) -> None:
        self.query_one("#top", Input).focus()

    def _text(self, name: str) -> str:
        """What is typed in a field; nothing where the window has no such field."""
        found = next(iter(self.query(f"#{name}").results(Input)), None)
        return found.value.strip() if found is not None else ""

    def _ticked(self, name: str) -> bool:
        return any(tick.value for tick in self.query(f"#{name}").results(Tick))

    @on(Input.Submitted)
    def action_go(self) -> None:
        wish = self._wish()
        if wish is not None:
            self._check(self, wish)

    def _wish(self) -> ExportWish | None:
        people, out = self._text("people"), self._text("out")
        try:
            names = parse_people(people, "the list of people") if people else ()
            top = self._whole("top", 1)
            overlap, each = self._whole("overlap", 0), self._whole("each", 2)
            honeypots, repeats = self._whole("honeypots", 0), self._whole("repeats", 0)
        except ColdalError as error:
            self.say(error)
            return None
        return ExportWish(
            format="" if self._server else str(self.query_one("#format", Select).value),
            top=top,
            people=names,
            out=self._base / Path(out).expanduser() if out else None,
            again=self._ticked("again"),
            overlap=overlap or 0,
            each=2 if each is None else each,
            honeypots=honeypots or 0,
            repeats=repeats or 0,
            deidentify=self._ticked("hidden"),
            server=self._server,
        )

    def _whole(self, name: str, least: int) -> int | None:
        """The number in a field; None when it is empty. Raises UsageError below ``least``."""
        typed = self._text(name)
        if not typed:
            return None
        try:
            number = int(typed)
        except ValueError:
            number = least - 1
        if number < least:
            raise UsageError(f"{typed}: write a whole number, at least {least}")
        return number

    def checked(self, wish: ExportWish) -> None:
        """The export can be made: close the window with it."""
        if self.is_current:
            self.dismiss(wish)

    def say(self, error: Exception) -> None:
        """Show why the export can't be made; what is typed stays."""
        words = error.what if isinstance(error, ColdalError) else str(error)
        self.query_one("#note", Static).update(Text(visible(words), style="bold"))

    def action_close(self) -> None:
        self.dismiss(None)


class ImportWindow(ModalScreen[ImportWish | None]):
    """The import dialog: choose a folder or file, see what would happen, then import."""

    DEFAULT_CSS = _CSS.replace("$NAME", "ImportWindow")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back"),
        Binding("ctrl+g", "go", "import", priority=True),
        Binding("pagedown", "page(8)", show=False),
        Binding("pageup", "page(-8)", show=False),
    ]
    RULES = (
        ("quarantine", "quarantine both"),
        ("newest", "take the newest"),
        ("majority", "take what most have drawn"),
        ("staple", "take their consensus (STAPLE)"),
    )
    SWITCHES = (
        ("same_grid", "trust the voxel order, not the headers"),
        ("resample", "masks of the same extent may be resampled"),
        ("confirm_empty", "empty masks are negative cases"),
        ("accept_first", "out to several people: the first mask back counts"),
    )

    def __init__(
        self,
        bases: Sequence[Path],
        path: str,
        preview: Callable[[ImportWindow, ImportWish], None],
    ) -> None:
        """``preview`` makes a dry run and answers with ``previewed`` or ``say``."""
        super().__init__()
        self._bases, self._path, self._preview = tuple(bases), path, preview
        self._previewed: ImportWish | None = None

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Import masks"
            box.border_subtitle = "enter looks, enter again imports · tab next field · esc back"
            with Horizontal():
                yield Static("folder or file", classes="label")
                yield Input(
                    value=self._path,
                    id="path",
                    compact=True,
                    suggester=PathSuggester(*self._bases),
                )
            with Horizontal():
                yield Static("named like", classes="label")
                yield Input(placeholder="{stem}, or such as {stem}_mask", id="match", compact=True)
            with Horizontal():
                yield Static("values", classes="label")
                yield Input(
                    placeholder="what they mean, kept: 128=lung, Tumor=1", id="means", compact=True
                )
            with Horizontal():
                yield Static("two of a scan", classes="label")
                yield Select(
                    [(words, name) for name, words in self.RULES],
                    value=self.RULES[0][0],
                    allow_blank=False,
                    id="rule",
                    compact=True,
                )
            with Horizontal():
                yield Static("drawn by", classes="label")
                yield Input(
                    placeholder="who drew the masks that name nobody", id="by", compact=True
                )
            for name, words in self.SWITCHES:
                yield Tick(words, id=name, compact=True)
            yield Meanings()
            with VerticalScroll(id="preview", can_focus=False):
                yield Static("", id="note")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#path", Input).focus()

    def _wish(self) -> ImportWish | None:
        typed = self.query_one("#path", Input).value.strip()
        if not typed:
            self.say("name a folder or a file; the right arrow completes")
            return None
        places = [base / Path(typed).expanduser() for base in self._bases]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            self.say("there is nothing at " + ", nor at ".join(map(str, dict.fromkeys(places))))
            return None
        options = {name: self.query_one(f"#{name}", Checkbox).value for name, _ in self.SWITCHES}
        means = self.query_one("#means", Input).value
        return ImportWish(
            path,
            self.query_one("#match", Input).value.strip() or None,
            options,
            classes=(
                *self.query_one(Meanings).said(),
                *(pair.strip() for pair in means.split(",") if pair.strip()),
            ),
            conflict=str(self.query_one("#rule", Select).value),
            by=self.query_one("#by", Input).value.strip(),
        )

    @on(Input.Submitted)
    def action_go(self) -> None:
        wish = self._wish()
        if wish is None:
            return
        if wish == self._previewed:
            self.dismiss(wish)
            return
        self.say("looking …")
        self._preview(self, wish)

    def previewed(self, wish: ImportWish, preview: Preview) -> None:
        """Show what would happen, and ask for unknown values; the answers are stored, too."""
        self._previewed = wish
        text = Text(visible("\n".join(preview.lines), keep="\n"))
        if self.query_one(Meanings).ask(preview.unknown, preview.classes):
            # First: on a small screen there is no room for more.
            hint = "say what they mean, then ctrl+g looks again; it is kept in coldal.toml\n"
            text = Text(hint, style="bold").append_text(Text(text.plain, style="not bold"))
        else:
            text.append("\nenter imports", style="bold")
        self.query_one("#note", Static).update(text)

    def say(self, words: str) -> None:
        self.query_one("#note", Static).update(Text(visible(words, keep="\n"), style="bold"))

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    def _changed(self) -> None:
        self._previewed = None

    def action_page(self, lines: int) -> None:
        self.query_one("#preview", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        self.dismiss(None)
