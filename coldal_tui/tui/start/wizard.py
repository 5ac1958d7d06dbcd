"""The four questions that make a project, for ``open`` where there is none yet."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from coldal_tui.errors import ColdalError
from coldal_tui.project.scans.creating import class_names, create_project, patients_setting
from coldal_tui.project.scans.folder_preview import (
    FolderPreview,
    PatientChoice,
    patient_choices,
    patients_by,
    preview_folder,
)
from coldal_tui.tui.drawing import themes
from coldal_tui.tui.drawing.glyphs import UNICODE, Look
from coldal_tui.tui.start.answers import (
    Line,
    budget_lines,
    choice_words,
    class_lines,
    default_root,
    found_lines,
    patient_lines,
    read_budget,
)
from coldal_tui.visible import counted, visible

QUESTIONS = (
    ("Where are the images?", "a folder: pictures, NIfTI, NRRD, MetaImage or DICOM, any depth"),
    ("What is a patient?", "no patient is ever in training and in validation at once"),
    ("Which classes are drawn?", "names of the mask values 1, 2, … with commas: left, right"),
    (
        "How many scans may be labelled in all?",
        "the budget, to be changed at any time; people's minutes may limit it, too: 100, 600 min",
    ),
    ("Make the project?", "the folder for its queue, labels and runs; images stay where they are"),
)
OWN_RULE = "another rule: a CSV file with filename and patient_id, or a pattern on the path"
BUDGET = 100


class Wizard(App[Path]):
    """Asks; ends with the folder of the new project, or None."""

    TITLE = "coldal-tui"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #head { height: 1; width: 1fr; background: $panel; }
    #question { height: auto; padding: 1 1 0 1; }
    Input { margin: 1 1 0 1; background: $panel; }
    OptionList { margin: 1 1 0 1; height: auto; max-height: 9; border: none; padding: 0;
        background: $background; }
    #found { height: 1fr; padding: 1 1 0 1; }
    #keys { height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "before", "question before"),
        Binding("ctrl+c,ctrl+q", "quit", "leave", priority=True),
    ]

    def __init__(
        self, root: Path | None = None, images: Path | None = None, *, look: Look = UNICODE
    ) -> None:
        """``root``: the folder for the project, ``images``: a first answer, where known."""
        super().__init__()
        self.look, self.here = look, Path.cwd()
        self.root = root
        self.step = 0
        self.found: FolderPreview | None = None
        self.choices: list[PatientChoice] = []
        self.choice: PatientChoice | None = None
        self.busy = False
        self._own_rule = False
        self._texts = {0: str(images) if images else "", 2: "", 3: "", 4: ""}
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="question")
        yield OptionList(compact=True)
        yield _Line(lambda: self.step in (0, 1, 4))
        with VerticalScroll(id="found", can_focus=False):
            yield Static(id="lines")
        yield Static(id="keys")

    def on_mount(self) -> None:
        self._ask(0)

    # --- a question

    def _ask(self, step: int) -> None:
        self.step = step
        full, empty = ("●", "○") if self.look.braille else ("#", ".")
        asked = min(step + 1, 4)
        head = Text(" A new project  ", style="bold", no_wrap=True)
        head.append(f"{asked} of 4  {full * asked}{empty * (4 - asked)}")
        self.query_one("#head", Static).update(head)
        what, hint = QUESTIONS[step]
        question = Text(what, style="bold")
        question.append(f"\n{hint}", style="dim")
        self.query_one("#question", Static).update(question)
        options, line = self.query_one(OptionList), self.query_one(Input)
        options.display = step == 1
        line.display = step != 1 or self._own_rule
        line.value = self._texts.get(step, "")
        line.cursor_position = len(line.value)
        keys = ["enter: make it" if step == 4 else "enter: next"]
        keys += ["esc: question before"] if step else []
        keys += ["tab: complete"] if step in (0, 4) else []
        keys.append("ctrl+c: leave, nothing is made")
        self.query_one("#keys", Static).update(Text(" " + "   ".join(keys), no_wrap=True))
        self.say([])
        if step == 1:
            self._offer_rules(options)
        else:
            line.focus()
            if step == 3:
                line.select_all()  # what is typed takes the place of the default
            self._typed_so_far(line.value)

    def _offer_rules(self, options: OptionList) -> None:
        options.clear_options()
        options.add_options([Option(Text(choice_words(one))) for one in self.choices])
        options.add_option(Option(Text(OWN_RULE)))
        options.highlighted = self.choices.index(self.choice) if self.choice in self.choices else 0
        options.focus()

    def say(self, lines: list[Line]) -> None:
        """Show lines below the question; what warns has a word and a colour."""
        text = Text()
        for words, warns in lines:
            if warns:
                text.append("! ", style=f"bold {self.theme_variables.get('warning', 'yellow')}")
            text.append(f"{words}\n", style="bold" if warns else "")
        self.query_one("#lines", Static).update(text)

    @on(OptionList.OptionHighlighted)
    def _rule_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if self.step == 1 and self.found is not None:
            own = event.option_index >= len(self.choices)
            line = self.query_one(Input)
            self._own_rule = line.display = own
            scans = len(self.found.scans)
            self.say([] if own else patient_lines(self.choices[event.option_index], scans))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._typed_so_far(event.value)

    def _typed_so_far(self, value: str) -> None:
        """Show what an answer means while it is typed."""
        found, words = self.found, value.strip()
        if found is None or self.busy:
            return
        if self.step == 2:
            names = [name.strip() for name in words.split(",") if name.strip()]
            self.say(class_lines(names or ["foreground"], found.mask_values))
        elif self.step == 3 and self.choice is not None:
            try:
                budget = read_budget(words)
            except ColdalError:
                return  # it is still being typed
            self.say(budget_lines(budget, len(found.scans), self.choice.patients))
        elif self.step == 4:
            self.say(self._summary())

    def _summary(self) -> list[Line]:
        """The answers, and the call of ``init`` that makes the same project."""
        if self.found is None or self.choice is None:
            return []
        said = {
            "images": f"{self.found.images}: {counted(len(self.found.scans), 'scan')}",
            "patients": choice_words(self.choice),
            "classes": self._texts[2] or "foreground",
            "budget": self._texts[3],
        }
        root = self.query_one(Input).value.strip() or "."
        words = ["coldal-tui", "init", root, "--images", str(self.found.images)]
        words += ["--classes", self._texts[2]] if self._texts[2] else []
        budget = read_budget(self._texts[3])
        words += ["--budget", str(budget.scans)]
        words += ["--minutes", str(budget.minutes)] if budget.minutes is not None else []
        words += ["--patients", self.choice.words] if self.choice.words else []
        return [
            *((f"{name:<10} {visible(value)}", False) for name, value in said.items()),
            ("", False),
            ("the same as:", False),
            (visible(shlex.join(words)), False),
        ]

    # --- its answer

    def action_before(self) -> None:
        if not self.busy and self.step:
            self._keep()
            self._ask(self.step - 1)

    def _keep(self) -> None:
        if self.step != 1:
            self._texts[self.step] = self.query_one(Input).value.strip()

    @on(OptionList.OptionSelected)
    def _rule_chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self.choices):
            self.choice = self.choices[event.option_index]
            self._ask(2)
        else:
            self.query_one(Input).focus()

    @on(Input.Submitted)
    def _answered(self) -> None:
        if self.busy:
            return
        self._keep()
        words = self.query_one(Input).value.strip()
        takes: tuple[Callable[[str], None], ...] = (
            self._take_images,
            self._take_rule,
            self._take_classes,
            self._take_budget,
            self._make,
        )
        try:
            takes[self.step](words)
        except ColdalError as error:
            self.refuse(error)

    def refuse(self, error: Exception) -> None:
        """Show why an answer can't be taken; the question stays."""
        if not isinstance(error, ColdalError):
            self.say([(visible(f"{type(error).__name__}: {error}"), True)])
            return
        where = f"{error.where}: " if error.where else ""
        lines: list[Line] = [(visible(f"{where}{error.what}"), True)]
        if error.remedy and "--" not in error.remedy:
            lines.append((visible(error.remedy), False))
        self.say(lines)

    def _take_images(self, words: str) -> None:
        if not words:
            raise ColdalError("name a folder; tab completes")
        images = Path(words).expanduser().absolute()
        if self.found is not None and self.found.images == images and self.found.scans:
            self._ask(1)  # looked at already, and its warnings read
            return

        def work() -> Callable[[], None]:
            found = preview_folder(images, progress=self._progress)
            choices = patient_choices(found) if found.scans else []
            return lambda: self._looked(found, choices)

        self._in_thread("reading the files' headers …", work)

    def _looked(self, found: FolderPreview, choices: list[PatientChoice]) -> None:
        self.found, self.choices, self.choice = found, choices, None
        lines = found_lines(found)
        self._texts[3] = str(min(BUDGET, max(1, len(found.scans))))
        if found.scans:
            lines.append(("", False))
            lines.append(("enter goes on; or name another folder", False))
        self.say(lines)

    def _take_rule(self, words: str) -> None:
        found = self.found
        assert found is not None
        if not words:
            raise ColdalError("name a CSV file, or a pattern with the patient in parentheses")

        def work() -> Callable[[], None]:
            rule = patients_by(found, words)
            return lambda: self._ruled(rule)

        self._in_thread("looking for patients …", work)

    def _ruled(self, rule: PatientChoice) -> None:
        assert self.found is not None
        if rule not in self.choices:
            self.choices.append(rule)
        self.choice, self._own_rule = rule, False
        self._ask(1)

    def _take_classes(self, words: str) -> None:
        if words:
            names = class_names(words) if all(n.strip() for n in words.split(",")) else ()
            if not names:
                raise ColdalError("a name is empty; name them in order: left, right")
            if len({name.casefold() for name in names}) != len(names):
                raise ColdalError("a class is named twice; name each once")
        self._ask(3)

    def _take_budget(self, words: str) -> None:
        read_budget(words)
        assert self.found is not None
        if not self._texts[4]:
            self._texts[4] = str(self.root or default_root(self.found.images, self.here))
        self._ask(4)

    def settings(self, root: Path) -> dict[tuple[str, str], Any]:
        """The answers as ``init`` would write them."""
        assert self.choice is not None
        budget = read_budget(self._texts[3])
        values: dict[tuple[str, str], Any] = {("budget", "total"): budget.scans}
        if budget.minutes is not None:
            values["budget", "minutes"] = budget.minutes
        if self._texts[2]:
            values["classes", "names"] = class_names(self._texts[2])
        if self.choice.words:
            values |= patients_setting(self.choice.words, root)
        return values

    def _make(self, words: str) -> None:
        if not words:
            raise ColdalError("name a folder for the project")
        root = Path(words).expanduser().resolve()
        found, settings = self.found, self.settings(root)
        assert found is not None

        def work() -> Callable[[], None]:
            create_project(root, found.images, settings, progress=self._progress)
            return lambda: self.exit(root)

        self._in_thread("making the project …", work)

    # --- work in a thread

    def _in_thread(self, title: str, work: Callable[[], Callable[[], None]]) -> None:
        """Run ``work``, then what it returns on the screen; the line takes no answer meanwhile."""

        def run() -> None:
            try:
                then = work()
            except Exception as error:
                self.call_from_thread(self._worked, partial(self.refuse, error))
            else:
                self.call_from_thread(self._worked, then)

        self.busy = True
        self.say([(title, False)])
        self.run_worker(run, thread=True, exclusive=True, exit_on_error=False)

    def _worked(self, then: Callable[[], None]) -> None:
        self.busy = False
        then()

    def _progress(self, done: int, total: int, path: str) -> None:
        step = max(1, total // 100)
        if done % step == 0 or done == total:
            line = (f"{done:,} of {total:,} files read", False)
            self.call_from_thread(self.say, [line])


class _Line(Input):
    """A line to answer in; tab completes a path where one is asked for."""

    def __init__(self, asks_path: Callable[[], bool]) -> None:
        super().__init__(compact=True, suggester=_Paths(asks_path), select_on_focus=False)

    async def _on_key(self, event: Key) -> None:
        if event.key != "tab":
            await super()._on_key(event)
            return
        self.action_cursor_right()
        event.stop()
        event.prevent_default()


class _Paths(Suggester):
    """Completes the path of a folder or a table."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._asked = asked

    async def get_suggestion(self, value: str) -> str | None:
        if not value or not self._asked():
            return None
        try:
            path = Path(value).expanduser()
            folder, start = (path, "") if value.endswith("/") else (path.parent, path.name)
            names = sorted(
                one.name + ("/" if one.is_dir() else "")
                for one in folder.iterdir()
                if one.name.startswith(start)
                and (start or not one.name.startswith("."))
                and (one.is_dir() or one.suffix in (".csv", ".tsv"))
            )
        except (OSError, RuntimeError):
            return None
        return value + names[0][len(start) :] if names else None
