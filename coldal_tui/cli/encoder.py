"""``encoder``: lists encoders, installs weights, sets the project's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli import common, which_project
from coldal_tui.extras import install

if TYPE_CHECKING:
    from coldal_tui.encoders.catalogue import EncoderInfo
    from coldal_tui.encoders.files import Installed
    from coldal_tui.jobs.spec import EncoderChoice

ACTIONS = ("list", "install", "use")

_DECLARED = ("size", "mean", "std", "channels", "layer", "window", "pooling", "precision")


@click.command("encoder")
@common.project_argument("[PROJECT] [list|install|use] [NAME]")
@click.option("--weights", type=click.Path(path_type=Path), help="use: the file with the weights.")
@click.option("--from", "source", type=click.Path(path_type=Path), help="install: from this file.")
@click.option("--url", help="install: from this address, in place of the hub.")
@click.option("--sha256", help="install: what the file's SHA-256 must be.")
@click.option("--size", type=click.IntRange(min=1), help="use file: side of the input, pixels.")
@click.option("--mean", help="use file: subtracted from intensities in [0, 1]; one or three.")
@click.option("--std", help="use file: what they are then divided by; one or three numbers.")
@click.option("--channels", type=click.Choice(["RGB", "BGR", "L"]), help="use file: its input.")
@click.option(
    "--layer", type=click.Choice(["pooled", "mean", "cls"]), help="use file: what is the vector."
)
@click.option("--window", help="use: CT window: soft-tissue, lung, bone, brain or liver.")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "foreground"]),
    help="use: how the slices of a volume become one vector.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bf16"]),
    help="use: float32 is alike on every device, the others are faster on a GPU.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def encoder_command(
    targets: tuple[str, ...],
    weights: Path | None,
    source: Path | None,
    url: str | None,
    sha256: str | None,
    as_json: bool,
    **declared: Any,
) -> None:
    """Encoders and their weights.

    \b
    coldal-tui encoder list
    coldal-tui encoder list dinov2-small
    coldal-tui encoder install dinov2-small
    coldal-tui encoder install radimagenet-resnet50 --from ResNet50.pt
    coldal-tui encoder use dinov2-small
    coldal-tui encoder use file --weights model.onnx --size 224 --channels L --layer mean
    """
    project, rest = which_project.take_project(targets)
    action, words = common.split_action(rest, ACTIONS, "list")
    if len(words) > 1:
        raise click.UsageError(f"unexpected argument {words[-1]!r}")
    if action == "list":
        _list(project, words[0] if words else None, as_json)
    elif not words:
        raise click.UsageError(f"which encoder? coldal-tui encoder {action} NAME")
    elif action == "install":
        _install(words[0], source, url, sha256, as_json)
    else:
        _use(project, words[0], weights, declared, as_json)


def _list(project: tuple[str, ...], name: str | None, as_json: bool) -> None:
    from coldal_tui.encoders.catalogue import encoder_info, list_encoders
    from coldal_tui.encoders.files import encoders_folder, installed

    folder = encoders_folder()
    infos = list_encoders() if name is None else (encoder_info(name),)
    here = {info.name: installed(info, folder) for info in infos}
    if as_json:
        common.print_json(
            [
                asdict(info)
                | {
                    "installed": not info.needs_file or here[info.name] is not None,
                    "weights": _path(folder, here[info.name]),
                    "weights_sha256": found.sha256 if (found := here[info.name]) else info.sha256,
                }
                for info in infos
            ]
        )
    elif name is None:
        _show_all(infos, here, _used(project))
    else:
        _show_one(infos[0], here[name], folder)


def _used(project: tuple[str, ...]) -> str | None:
    """The encoder of the named or nearest project; None outside a project."""
    from coldal_tui.project.layout import CONFIG_NAME
    from coldal_tui.project.settings.config import load_config

    named = Path(project[0]) if project else None
    root = named or which_project.standing_project() or which_project.nearest_project()
    return None if root is None else load_config(root / CONFIG_NAME).encoder.name


def _show_all(
    infos: Sequence[EncoderInfo], here: dict[str, Installed | None], used: str | None
) -> None:
    out = common.console()
    table = common.table("encoder", "here", "numbers>", "px>", "suits")
    for info in infos:
        table.add_row(
            f"{info.name} *" if info.name == used else info.name,
            _here(info, here[info.name]),
            str(info.dim or "–"),
            str(info.input_size) if info.dim else "–",
            info.suits,
        )
    common.print_table(out, "Encoders", table)
    if used is not None:
        out.print("* the project's")
    out.print("source, licence, hash and how to get one: coldal-tui encoder list NAME")


def _here(info: EncoderInfo, found: Installed | None) -> str:
    if not info.needs_file:
        return "plug-in" if info.family == "plug-in" else "built in"
    if not info.hub:
        return "yours"
    return "no" if found is None else "yes"


def _show_one(info: EncoderInfo, found: Installed | None, folder: Path) -> None:
    from rich.table import Table

    if not info.needs_file:
        comes = "their package" if info.family == "plug-in" else "coldal-tui"
        weights = f"here, they come with {comes}"
    elif found is not None:
        weights = f"here, {_path(folder, found)}"
    else:
        weights = f"not here; {info.get}"
    digest = found.sha256 if found is not None else info.sha256
    facts = {
        "what": info.title,
        "suits": info.suits,
        "vector": f"{info.dim} numbers: {info.layer}" if info.dim else info.layer,
        "input": f"{info.input_size} px square; {info.preprocessing}",
        "source": info.source,
        "licence": info.licence,
        "weights": weights,
        "SHA-256": digest
        or (
            "of its parameters and its package's version, when it is loaded"
            if info.family == "plug-in" and not info.needs_file
            else "pinned by the project that uses it"
        ),
        "needs": install(info.extra) if info.extra else "",
    }
    grid = Table.grid(padding=(0, 2, 0, 0))
    for label, value in facts.items():
        if value:
            grid.add_row(label, value)
    out = common.console()
    out.print(info.name)
    out.print(grid)


def _path(folder: Path, found: Installed | None) -> str | None:
    return None if found is None else str(folder / found.name / found.file)


def _install(
    name: str, source: Path | None, url: str | None, sha256: str | None, as_json: bool
) -> None:
    from coldal_tui.encoders import files as encoder_files
    from coldal_tui.encoders.catalogue import encoder_info

    info, folder = encoder_info(name), encoder_files.encoders_folder()
    if source is not None and url is not None:
        raise click.UsageError("either --from FILE or --url ADDRESS")
    if source is not None:
        found = encoder_files.install_from_file(info, source, folder, sha256)
    else:
        secrets: dict[str, str] = {}
        if url is None:
            there = encoder_files.hub_file(info)
            url, secrets, sha256 = there.url, there.secrets, sha256 or there.sha256
        with _Bar(name) as bar:
            found = encoder_files.install_from_url(info, url, folder, sha256, bar.tell, secrets)
    path = _path(folder, found)
    if as_json:
        common.print_json(
            {
                "encoder": name,
                "weights": path,
                "sha256": found.sha256,
                "bytes": found.bytes,
                "checked": found.checked,
            }
        )
        return
    common.echo(f"installed {name}: {path} ({found.bytes / 1e6:.1f} MB)")
    how = "as published" if found.checked else "no published one to compare with; projects pin it"
    common.echo(f"SHA-256 {found.sha256} ({how})")
    common.echo(f"use it in a project: coldal-tui encoder use {name}")


class _Bar:
    """A progress bar on stderr, if that is a terminal."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn(name), BarColumn(), DownloadColumn(), console=Console(stderr=True)
        )
        self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> _Bar:
        if self._bar.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, done: int, total: int | None) -> None:
        self._bar.update(self._task, completed=done, total=total)


def _use(
    targets: tuple[str, ...],
    name: str,
    weights: Path | None,
    declared: dict[str, Any],
    as_json: bool,
) -> None:
    from coldal_tui.project.settings.config import edit_config

    choice = _choice(name, weights, declared)
    with common.open_project(targets) as project:
        keys = ("name", "weights", "sha256", *_DECLARED)
        edit_config(project.layout.config, {("encoder", key): getattr(choice, key) for key in keys})
        if project.store.value("SELECT count(*) FROM rounds"):
            common.say("rounds stand on the old encoder's map; the next round uses the new one's")
        root = project.root
    if as_json:
        common.print_json(
            {"encoder": name, "weights": choice.weights, "weights_sha256": choice.sha256}
        )
        return
    embed = common.paste("coldal-tui embed", root)
    common.echo(f"the project now uses {name}; {embed} makes its vectors")


def _choice(name: str, weights: Path | None, declared: dict[str, Any]) -> EncoderChoice:
    """The settings that ``use`` writes into coldal.toml; weights are pinned by hash."""
    from coldal_tui.encoders.catalogue import OWN_FILE, chosen_info, encoder_info
    from coldal_tui.encoders.files import checked_weights, encoders_folder
    from coldal_tui.errors import UsageError
    from coldal_tui.files import sha256_file
    from coldal_tui.jobs.spec import EncoderChoice

    info = encoder_info(name)
    if weights is None and info.needs_file:
        weights = checked_weights(info, encoders_folder())
    if info.needs_file and weights is None:
        install = f"; then: coldal-tui encoder use {name} --weights FILE"
        raise UsageError(
            "this encoder's weights do not come with coldal-tui",
            where=name,
            remedy=info.get + ("" if info.name == OWN_FILE.name else install),
        )
    if weights is not None and not weights.is_file():
        raise UsageError("no such file", where=str(weights), remedy="check --weights")
    if info.name == OWN_FILE.name and declared.get("size") is None:
        raise UsageError(
            "what input does it take?", where=name, remedy="name it with --size PIXELS"
        )
    given = {key: declared.get(key) for key in _DECLARED}
    for key in ("mean", "std"):
        given[key] = _numbers(f"--{key}", given[key])
    choice = EncoderChoice(
        name=name,
        weights=str(weights.absolute()) if weights else None,
        sha256=sha256_file(weights) if weights else None,
        **given,
    )
    chosen_info(choice)
    return choice


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    from coldal_tui.errors import UsageError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise UsageError(
            f"{text!r} are no numbers", where=option, remedy="write one or three, as 0.5,0.5,0.5"
        ) from error
