"""coldal.toml: keys, allowed values, and edits that keep comments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from coldal_tui.errors import ColdalError
from coldal_tui.project.settings.config_backends import OPTION, RaySection, SlurmSection
from coldal_tui.project.settings.config_connections import NAME, ConnectionSection
from coldal_tui.project.settings.config_hooks import HooksSection
from coldal_tui.project.settings.config_images import ImagesSection as ImagesSection
from coldal_tui.project.settings.config_images import Window
from coldal_tui.project.settings.config_keys import KeyCommand, check_own_keys
from coldal_tui.project.settings.config_problems import bad_toml, bad_value, problem
from coldal_tui.project.settings.personal import TABLE, below, personal_file

MOST_CLASSES = 254
"""As many as a label file holds beside the background and the ignored (imaging.labelfile)."""

Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
_ID = "32 hexadecimal digits, as in the project's database"
_DIGEST = "a SHA-256, 64 hexadecimal digits"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base class of every table of the file: unknown keys are errors."""


class ProjectSection(Section, frozen=True):
    name: Annotated[str, Meta(min_length=1)] = "project"
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$", description=_ID)] | None = None


class ClassesSection(Section, frozen=True):
    names: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)] = (
        "foreground",
    )
    ignore_value: int | None = None
    values: dict[str, str] = {}
    map: dict[str, str | int] = {}
    priority: tuple[str, ...] = ()


class BudgetSection(Section, frozen=True):
    total: Count = 100
    round0: Count | None = None
    batch: Count | None = None
    minutes: Count | None = None
    minutes_per_scan: Positive | None = None
    enough: Annotated[float, Meta(gt=0, le=1)] = 0.01


class SelectionSection(Section, frozen=True):
    strategy: str = "coldstart"
    round_strategy: str = "entropy-diversity"
    alpha: Fraction = 0.5
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    one_per_patient: bool = False
    entropy: Literal["mean", "foreground", "boundary"] = "mean"
    within: Literal["farthest", "herding", "kmeans"] = "farthest"
    aim: Literal["average", "every-kind"] = "average"
    cost: Literal["scans", "minutes"] = "scans"


class ValidationSection(Section, frozen=True):
    patients: Annotated[int, Meta(ge=0)] | Literal["auto"] = "auto"
    folds: Annotated[int, Meta(ge=0)] = 5


class RatersSection(Section, frozen=True):
    consensus: Literal["person", "majority", "staple", "ignore"] = "person"


class EncoderSection(Section, frozen=True):
    name: str = "efficientnet-lite0"
    weights: str | None = None
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$", description=_DIGEST)] | None = None
    batch_size: Count = 64
    size: Count | None = None
    mean: Annotated[tuple[float, ...], Meta(min_length=1, max_length=3)] | None = None
    std: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=3)] | None = None
    channels: Literal["RGB", "BGR", "L"] | None = None
    layer: Literal["pooled", "mean", "cls"] | None = None
    window: Window | None = None
    pooling: Literal["mean", "foreground"] = "mean"
    precision: Literal["float32", "tf32", "bf16"] = "float32"


class TrainSection(Section, frozen=True):
    steps: Count | None = None
    batch_size: Count | None = None
    patch: Annotated[tuple[Count, ...], Meta(min_length=2, max_length=3)] | None = None
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 2e-3
    workers: Annotated[int, Meta(ge=0)] = 0
    amp: bool = True
    devices: Count | Literal["auto"] = 1
    networks: Count | None = None
    cleanup: Literal["off", "auto", "largest"] = "off"


class BackendSection(Section, frozen=True):
    name: str = "local"
    device: Annotated[
        str,
        Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$", description='"auto", "cpu", "cuda" or "cuda:1"'),
    ] = "auto"
    threads: Annotated[int, Meta(ge=0)] = 0
    jobs_per_gpu: Count = 1
    gpus: Count | Literal["auto"] = 1
    cpu_jobs: Count = 1
    gpu_free_gb: Annotated[float, Meta(ge=0)] = 6.0
    cache_gb: Annotated[float, Meta(ge=0)] = 8.0
    nice: Annotated[int, Meta(ge=0, le=19)] = 0
    retries: Annotated[int, Meta(ge=0)] = 2
    slurm: SlurmSection = SlurmSection()
    ray: RaySection = RaySection()


class Config(Section, frozen=True):
    """The whole ``coldal.toml``; every table except ``[images]`` is optional."""

    images: ImagesSection
    project: ProjectSection = ProjectSection()
    classes: ClassesSection = ClassesSection()
    budget: BudgetSection = BudgetSection()
    selection: SelectionSection = SelectionSection()
    validation: ValidationSection = ValidationSection()
    raters: RatersSection = RatersSection()
    encoder: EncoderSection = EncoderSection()
    train: TrainSection = TrainSection()
    backend: BackendSection = BackendSection()
    hooks: HooksSection = HooksSection()
    connections: dict[str, ConnectionSection] = {}
    keys: dict[str, str | KeyCommand] = {}


def load_config(path: Path) -> Config:
    """Read and check ``coldal.toml``; what it leaves open, the person's own defaults decide.

    Raises ColdalError with the line, the key and the allowed values.
    """
    return parse_config(_read(path), str(path), _personal(personal_file()))


def _personal(path: Path) -> dict[str, Any]:
    """The ``[backend]`` of the person's own defaults; nothing without a file."""
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError):
        text = _read(path)
    where = str(path)
    data = _parse_toml(text, where)
    for table in data:
        if table != TABLE:
            remedy = f"keep only [{TABLE}] there; all else belongs into a project's coldal.toml"
            raise problem(text, where, (table,), "is no default of a person", remedy)
    _check_shape(text, where, data)
    try:
        msgspec.convert(data.get(TABLE, {}), BackendSection)
    except msgspec.ValidationError as error:
        raise bad_value(text, where, data, Config) from error
    return data


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        what = "the project file is missing"
        raise ColdalError(what, where=str(path), remedy="coldal-tui init") from error
    except OSError as error:
        raise ColdalError(
            f"the project file can't be read: {error.strerror}",
            where=str(path),
            remedy="check its permissions",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ColdalError(
            "not UTF-8 text",
            where=f"{path}, line {line}",
            remedy="save the file as UTF-8",
            code="bad-config",
        ) from error


def parse_config(text: str, where: str, personal: Mapping[str, Any] | None = None) -> Config:
    """The checked configuration in ``text``; ``where`` is the file's name for errors.

    ``personal`` holds checked tables whose keys count where ``text`` does not set them.
    """
    data = _parse_toml(text, where)
    _check_shape(text, where, data)
    data = below(data, personal or {})
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise bad_value(text, where, data, Config) from error
    _check_meaning(text, where, config)
    return config


def _parse_toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise bad_toml(text, where, error) from error


def _check_shape(text: str, where: str, data: dict[str, Any]) -> None:
    """Refuse unknown tables and keys; the error lists the known ones."""
    sections = _sections()
    for table, value in data.items():
        if table not in sections:
            allowed = ", ".join(f"[{name}]" for name in sections)
            raise problem(text, where, (table,), "unknown table", f"allowed: {allowed}")
        if not isinstance(value, dict):
            remedy = f"write [{table}] above its keys"
            raise problem(text, where, (table,), "must be a table", remedy)
        if table == "connections":
            _check_connections(text, where, value)
        elif table == "keys":
            check_own_keys(text, where, value)
        else:
            _check_keys(text, where, (table,), value, sections[table])


def _check_connections(text: str, where: str, value: dict[str, Any]) -> None:
    for name, inner in value.items():
        path = ("connections", name)
        if not NAME.fullmatch(name):
            what = f"{name!r} is no name of a connection"
            raise problem(text, where, path, what, "small letters, digits and -, such as lab")
        if not isinstance(inner, dict):
            remedy = f"write [connections.{name}] above its keys"
            raise problem(text, where, path, "must be a table", remedy)
        _check_keys(text, where, path, inner, ConnectionSection)


def _check_keys(
    text: str, where: str, path: tuple[str, ...], value: dict[str, Any], section: type[Any]
) -> None:
    """Refuse unknown keys of a table and of its sub-tables."""
    known = get_type_hints(section)
    for key, inner in value.items():
        if key not in known:
            allowed = f"allowed here: {', '.join(known)}"
            raise problem(text, where, (*path, key), "unknown key", allowed)
        if isinstance(inner, dict) and hasattr(known[key], "__struct_fields__"):
            _check_keys(text, where, (*path, key), inner, known[key])


def _check_meaning(text: str, where: str, config: Config) -> None:
    _check_classes(text, where, config.classes)
    for option in config.backend.slurm.extra:
        if not OPTION.fullmatch(option):
            raise problem(
                text,
                where,
                ("backend.slurm", "extra"),
                f"{option!r} is no name of an option of sbatch",
                "letters, digits, - and _",
            )
    budget, images = config.budget, config.images
    if budget.round0 is not None and budget.round0 > budget.total:
        raise problem(
            text,
            where,
            ("budget", "round0"),
            f"{budget.round0} is more than the total budget",
            f"allowed: 1 to {budget.total}",
        )
    if images.patients_csv and images.patients_pattern:
        raise problem(
            text,
            where,
            ("images", "patients_pattern"),
            "patients_csv and patients_pattern are both set",
            "keep one of them",
        )
    if images.patients_pattern:
        try:
            check_pattern(images.patients_pattern, where)
        except ColdalError as error:
            path = ("images", "patients_pattern")
            raise problem(text, where, path, error.what, error.remedy) from error


def _check_classes(text: str, where: str, classes: ClassesSection) -> None:
    """Check that class names, ignore value and value map give masks one clear meaning."""
    names = classes.names
    folded = [name.casefold() for name in names]
    here = ("classes", "names")
    if len(set(folded)) != len(names):
        raise problem(text, where, here, "a class is named twice", "name each once")
    if {"background", "ignore"} & set(folded):
        what = "background and ignore are no classes: every project has them"
        raise problem(text, where, here, what, "leave them out")
    if len(names) > MOST_CLASSES:
        what = f"{len(names)} are too many classes"
        raise problem(text, where, here, what, f"allowed: at most {MOST_CLASSES}")
    ignored = classes.ignore_value
    if ignored is not None and 0 <= ignored <= len(names):
        meaning = "the background" if ignored == 0 else f"the class {names[ignored - 1]!r}"
        raise problem(
            text,
            where,
            ("classes", "ignore_value"),
            f"{ignored} is the value of {meaning}",
            f"allowed: any whole number but 0 to {len(names)}",
        )
    allowed = "allowed: " + ", ".join((*names, "background", "ignore"))
    known = (*folded, "background", "ignore")
    tables: dict[str, dict[str, Any]] = {"values": {**classes.values}, "map": {**classes.map}}
    for key, table in tables.items():
        for raw, meaning in table.items():
            if isinstance(meaning, str) and meaning.casefold() not in known:
                what = f"names an unknown class {meaning!r}"
                raise problem(text, where, ("classes", key, raw), what, allowed)
            if isinstance(meaning, int) and not 0 <= meaning <= len(names):
                what = f"{meaning} is the number of no class"
                remedy = f"allowed: 0 to {len(names)}, {allowed.removeprefix('allowed: ')}"
                raise problem(text, where, ("classes", key, raw), what, remedy)
    wanted = [name.casefold() for name in classes.priority]
    if len(set(wanted)) != len(wanted) or not set(wanted) <= set(folded):
        what = "names a class twice, or one that there is not"
        raise problem(text, where, ("classes", "priority"), what, f"allowed: {', '.join(names)}")


def check_pattern(pattern: str, where: str) -> re.Pattern[str]:
    """Compile a patient pattern: it needs a group that captures the patient."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ColdalError(
            f"not a valid regular expression: {error}",
            where=where,
            remedy="allowed: a pattern such as '^(p[0-9]+)_'",
            code="bad-config",
        ) from error
    if compiled.groups < 1:
        raise ColdalError(
            "the pattern captures nothing",
            where=where,
            remedy="put the patient's part in parentheses, such as '^(p[0-9]+)_'",
            code="bad-config",
        )
    return compiled


def _sections() -> dict[str, Any]:
    return get_type_hints(Config)


def edit_config(path: Path, changes: dict[tuple[str, str], Any]) -> Config:
    """Set keys (``{(table, key): value}``; None removes) and keep everything else as it is.

    A dict replaces all entries of a table; unchanged entries keep their comments. The result is
    checked before it is written; the file is replaced atomically.
    """
    import tomlkit

    from coldal_tui.files import atomic_write

    text = _read(path)
    _parse_toml(text, str(path))
    document = tomlkit.parse(text)
    for (table, key), value in changes.items():
        if table not in document:
            if value is None:
                continue
            document[table] = tomlkit.table()
        section: Any = document[table]
        if value is None:
            section.pop(key, None)
        elif isinstance(value, dict):
            _set_entries(section, key, value)
        else:
            section[key] = list(value) if isinstance(value, tuple) else value
    edited = tomlkit.dumps(document)
    config = parse_config(edited, str(path))
    target = path.resolve()  # keep a symbolic link
    mode = target.stat().st_mode
    atomic_write(target, lambda stream: stream.write(edited.encode()))
    target.chmod(mode)
    return config


def _set_entries(section: Any, key: str, entries: dict[str, Any]) -> None:
    import tomlkit

    if key not in section:
        section[key] = tomlkit.inline_table()
    table = section[key]
    for name in [name for name in table if name not in entries]:
        table.remove(name)
    for name, value in entries.items():
        if name not in table or table[name] != value:
            table[name] = value
