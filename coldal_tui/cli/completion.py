"""``completion``: prints or installs the shell's completion script."""

from __future__ import annotations

import os
from pathlib import Path

import click

from coldal_tui.cli import common
from coldal_tui.errors import UsageError

PROGRAM, VARIABLE = "coldal-tui", "_COLDAL_TUI_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.option("--install", is_flag=True, help="Put it where the shell looks for it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def completion_command(shell: str | None, install: bool, as_json: bool) -> None:
    """Completion for bash, zsh or fish; by default the shell of $SHELL.

    \b
    coldal-tui completion --install         for every new shell
    eval "$(coldal-tui completion bash)"    for this one
    """
    from click.shell_completion import get_completion_class

    from coldal_tui.cli import cli

    chosen = shell or Path(os.environ.get("SHELL", "")).name
    maker = get_completion_class(chosen) if chosen in SHELLS else None
    if maker is None:
        raise UsageError(
            "which shell?", where="$SHELL", remedy=f"coldal-tui completion {'|'.join(SHELLS)}"
        )
    script = maker(cli, {}, PROGRAM, VARIABLE).source()
    path = _install(chosen, script) if install else None
    if as_json:
        told = {"shell": chosen, "file": None if path is None else str(path), "script": script}
        common.print_json(told)
    elif path is None:
        click.echo(script)
    else:
        common.echo(f"written to {path}; it works in every new {chosen}")
        if chosen == "zsh":
            common.echo(f"once, before compinit in ~/.zshrc: fpath+=({path.parent})")


def data_folder() -> Path:
    """The person's folder of data that programs share: ``$XDG_DATA_HOME`` or ``~/.local/share``."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def put(path: Path, text: str) -> None:
    """Write a file of the person's, and its folder; ColdalError when the disk refuses."""
    from coldal_tui.files import atomic_write, disk_error

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda stream: stream.write(text.encode()))
    except OSError as error:
        raise disk_error(error, path) from error


def _install(shell: str, script: str) -> Path:
    data = data_folder()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = {
        "bash": data / "bash-completion" / "completions" / PROGRAM,
        "zsh": data / "zsh" / "site-functions" / f"_{PROGRAM}",
        "fish": config / "fish" / "completions" / f"{PROGRAM}.fish",
    }[shell]
    put(path, script)
    return path
