"""coldal.toml: what people may set, what is allowed, and edits that keep their comments."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from coldal_tui.errors import ColdalError

Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table of the file: an unknown key is an error, not a silence."""


class ProjectSection(Section, frozen=True):
    name: Annotated[str, Meta(min_length=1)] = "project"


class ImagesSection(Section, frozen=True):
    dir: Annotated[str, Meta(min_length=1)]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    patients_csv: str | None = None
    patients_pattern: str | None = None


class ClassesSection(Section, frozen=True):
    names: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)] = (
        "foreground",
    )
    ignore_value: int | None = None
    values: dict[str, str] = {}


class BudgetSection(Section, frozen=True):
    total: Count = 100
    round0: Count | None = None
    batch: Count | None = None


class SelectionSection(Section, frozen=True):
    strategy: str = "coldstart"
    round_strategy: str = "entropy-diversity"
    alpha: Fraction = 0.5
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class ValidationSection(Section, frozen=True):
    patients: Annotated[int, Meta(ge=0)] | Literal["auto"] = "auto"


class EncoderSection(Section, frozen=True):
    name: str = "efficientnet-lite0"
    weights: str | None = None
    batch_size: Count = 16


class TrainSection(Section, frozen=True):
    steps: Count | None = None
    batch_size: Count | None = None
    patch: Annotated[tuple[Count, ...], Meta(min_length=2, max_length=3)] | None = None
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-3
    workers: Annotated[int, Meta(ge=0)] = 0
    amp: bool = True


class BackendSection(Section, frozen=True):
    name: str = "local"
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    threads: Annotated[int, Meta(ge=0)] = 0


class Config(Section, frozen=True):
    """The whole of ``coldal.toml``; every table is optional but ``[images]``."""

    images: ImagesSection
    project: ProjectSection = ProjectSection()
    classes: ClassesSection = ClassesSection()
    budget: BudgetSection = BudgetSection()
    selection: SelectionSection = SelectionSection()
    validation: ValidationSection = ValidationSection()
    encoder: EncoderSection = EncoderSection()
    train: TrainSection = TrainSection()
    backend: BackendSection = BackendSection()


TEMPLATE = """\
# A coldal-tui project. Edit this file freely: comments are kept, and a wrong value is answered
# with its line and what is allowed. A line that begins with "# " shows a default.

[project]
name = {name}

[images]
dir = {images}               # where the scans lie; relative to this file; never written to
# include = ["*.png"]        # file patterns to index; everything when empty
# exclude = ["masks/*"]      # file patterns to leave out
# patients_csv = "meta.csv"  # columns filename, patient_id; others are kept as metadata
# patients_pattern = '^(?P<patient>[^_]+)_'   # or: a pattern on the file's path below dir

[classes]
names = ["foreground"]       # mask values 1, 2, … in this order; 0 is background
# ignore_value = 255         # this mask value leaves training and every measure
# values = {{ "128" = "foreground" }}   # when the labeler wrote other values

[budget]
total = 100                  # scans that may be labelled in all
# round0 = 20                # size of the first queue (default: a fifth of the total, at least 5)
# batch = 10                 # size of each later batch (default: the size of round 0)

[selection]
# strategy = "coldstart"
# round_strategy = "entropy-diversity"
# alpha = 0.5                # 1: only uncertainty, 0: only diversity
seed = 0

[validation]
# patients = "auto"          # 20 % of round 0, at least 2; frozen at the first selection; 0: none

[encoder]
name = "efficientnet-lite0"
# weights = "/path/to/RadImageNet-ResNet50.pt"   # for encoders whose weights you bring
# batch_size = 16

[train]
# steps = 240                # optimiser steps; by default decided from the data and the device
# batch_size = 8
# patch = [128, 128]         # training grid or patch, per axis
# learning_rate = 0.002

[backend]
# name = "local"
# device = "auto"            # auto, cpu, cuda, cuda:1
# threads = 0                # 0: as many as there are cores
"""


def load_config(path: Path) -> Config:
    """Read and check ``coldal.toml``.

    Raises ColdalError with the line, the key and what is allowed.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ColdalError(
            "the project file is missing", where=str(path), remedy="coldal-tui init"
        ) from error
    except UnicodeDecodeError as error:
        raise ColdalError(
            "not UTF-8 text", where=str(path), remedy="save the file as UTF-8"
        ) from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> Config:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ColdalError(
            f"not valid TOML: {error}", where=where, remedy="mend that line", code="bad-config"
        ) from error
    _check_shape(text, where, data)
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise _explain(text, where, data, str(error)) from error
    _check_meaning(text, where, config)
    return config


def _check_shape(text: str, where: str, data: dict[str, Any]) -> None:
    """Unknown tables and keys, answered with the nearest known ones."""
    sections = _sections()
    for table, value in data.items():
        if table not in sections:
            allowed = ", ".join(f"[{name}]" for name in sections)
            raise _at(text, where, (table,), "unknown table", f"allowed: {allowed}")
        if not isinstance(value, dict):
            raise _at(text, where, (table,), "must be a table", f"write [{table}] above its keys")
        known = sections[table].__struct_fields__
        for key in value:
            if key not in known:
                allowed = ", ".join(known)
                raise _at(text, where, (table, key), "unknown key", f"allowed here: {allowed}")


def _check_meaning(text: str, where: str, config: Config) -> None:
    names = config.classes.names
    if len(set(names)) != len(names):
        raise _at(text, where, ("classes", "names"), "a class is named twice", "name each once")
    if len(names) > 250:
        raise _at(text, where, ("classes", "names"), "too many classes", "at most 250")
    for raw, name in config.classes.values.items():
        if name not in names and name != "background":
            raise _at(
                text,
                where,
                ("classes", "values"),
                f"{raw!r} names an unknown class {name!r}",
                "allowed: background, " + ", ".join(names),
            )
    if config.budget.round0 is not None and config.budget.round0 > config.budget.total:
        raise _at(
            text,
            where,
            ("budget", "round0"),
            f"{config.budget.round0} is more than the total budget",
            f"allowed: 1 to {config.budget.total}",
        )
    if config.images.patients_csv and config.images.patients_pattern:
        raise _at(
            text,
            where,
            ("images", "patients_pattern"),
            "patients_csv and patients_pattern are both set",
            "keep one of them",
        )
    if config.images.patients_pattern:
        check_pattern(config.images.patients_pattern, f"{where}, images.patients_pattern")


def check_pattern(pattern: str, where: str) -> re.Pattern[str]:
    """Compile a patient pattern: it needs a group that captures the patient."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ColdalError(
            f"not a valid regular expression: {error}", where=where, remedy="mend the pattern"
        ) from error
    if compiled.groups < 1:
        raise ColdalError(
            "the pattern captures nothing",
            where=where,
            remedy="put the patient's part in parentheses, such as '^(p[0-9]+)_'",
        )
    return compiled


def _sections() -> dict[str, type[Section]]:
    return get_type_hints(Config)


def _explain(text: str, where: str, data: dict[str, Any], message: str) -> ColdalError:
    found = re.search(r"^(.*?)(?: - at `\$\.?([^`]*)`)?$", message, re.DOTALL)
    reason = found.group(1) if found else message
    path = tuple(re.sub(r"\[[^\]]*\]", "", (found.group(2) or "") if found else "").split("."))
    if path == ("",):
        missing = re.search(r"required field `(\w+)`", reason)
        return ColdalError(
            f"the table [{missing.group(1)}] is missing" if missing else reason,
            where=where,
            remedy='add it, with its key dir = "…"' if missing else "see coldal-tui init",
            code="bad-config",
        )
    value: Any = data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else value
    return _at(text, where, path, f"{value!r} is not allowed", f"allowed: {_allowed(reason)}")


def _allowed(reason: str) -> str:
    """msgspec's words in a person's: ``Expected `int` >= 1, got `str``` → ``int >= 1``."""
    plain = reason.split(", got")[0].removeprefix("Expected ").replace("`", "")
    names = {
        "int": "a whole number",
        "float": "a number",
        "str": "text in quotes",
        "bool": "true or false",
        "array": "a list",
        "null": "leave it out",
    }
    return re.sub(r"\b(int|float|str|bool|array|null)\b", lambda m: names[m.group()], plain)


def _at(text: str, where: str, path: tuple[str, ...], what: str, remedy: str) -> ColdalError:
    line = line_of(text, path)
    place = f"{where}, line {line}" if line else where
    return ColdalError(f"{'.'.join(path)}: {what}", where=place, remedy=remedy, code="bad-config")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The 1-based line on which ``path`` (table, key) is set; the table's line for a bare table."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w.\-]+)\s*\]+", line)
        if header:
            table = header.group(1)
            if path == (table,) or (path[:1] == (table,) and len(path) == 1):
                return number
            continue
        key = re.match(r"\s*([\w\-]+(?:\.[\w\-]+)*)\s*=", line)
        if key:
            full = tuple((f"{table}." if table else "").split(".")[:-1]) + tuple(
                key.group(1).split(".")
            )
            if full[: len(path)] == path:
                return number
    return line_of(text, path[:1]) if len(path) > 1 else None


def render_template(name: str, images: str) -> str:
    import tomlkit

    return TEMPLATE.format(
        name=tomlkit.item(name).as_string(), images=tomlkit.item(images).as_string()
    )


def edit_config(path: Path, changes: dict[tuple[str, str], Any]) -> Config:
    """Set keys (``{(table, key): value}``; None removes) and keep everything else as it is.

    The result is checked before it is written; the file is replaced in one step.
    """
    import tomlkit

    from coldal_tui.files import atomic_write

    text = path.read_text("utf-8")
    document = tomlkit.parse(text)
    for (table, key), value in changes.items():
        if table not in document:
            document[table] = tomlkit.table()
        section: Any = document[table]
        if value is None:
            section.pop(key, None)
        elif isinstance(value, tuple):
            section[key] = list(value)
        else:
            section[key] = value
    edited = tomlkit.dumps(document)
    config = parse_config(edited, str(path))
    mode = path.stat().st_mode
    atomic_write(path, lambda stream: stream.write(edited.encode()))
    path.chmod(mode)
    return config
