"""The command line. Commands are found by name and imported only when they are called."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from coldal_tui.redaction import VARIABLE, is_asked, shown_document

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from coldal_tui.errors import ColdalError

INTERRUPTED, PIPE_CLOSED = 130, 141
REFUSALS = ("ReadOnlyError", "FullError", "IOError", "BusyError", "LockedError", "PermissionsError")

# name → (module below coldal_tui.cli, what it does). The order is the order of the loop.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole loop on the sample data."),
    "init": ("init_index", "Make a project and index its images."),
    "open": ("open", "Open the terminal app."),
    "status": ("status", "Budget, clusters, rounds, labels, runs, jobs, and the next step."),
    "index": ("init_index", "Look for added, changed and removed scans."),
    "embed": ("steps", "Embed scans with the project's encoder."),
    "map": ("steps", "Project the embeddings to two dimensions."),
    "advise": ("advise", "What the pool is like, and which first strategy follows."),
    "select": ("steps", "Pick the first queue (embeds and maps what is missing)."),
    "queue": ("queue", "The ranked queue; skip, pin, assign, reopen or exclude scans."),
    "why": ("queue", "The numbers behind a pick."),
    "prelabels": ("prelabels", "Masks of other models as proposals for labelers."),
    "export-queue": ("export_queue", "Hand queued scans to labelers."),
    "import-masks": ("import_masks", "Take masks back from a labeler."),
    "connect": ("connect", "Servers of labelers: add, list, test, token, remove."),
    "push": ("push", "Send queued scans to a labeler's server."),
    "pull": ("pull", "Bring drawings back from a labeler's server."),
    "sync": ("pull", "Push, then pull."),
    "labels": ("labels", "Labels and quarantine: list, check, accept, reject, retry."),
    "raters": ("raters", "The people who drew: scans, minutes, agreement, habits."),
    "train": ("steps", "Train the segmentation model on the labels."),
    "crossfit": ("steps", "Measure a run by networks trained on other patients' labels."),
    "score": ("steps", "Entropy of the newest run's predictions on the pool."),
    "next": ("steps", "Pick the next batch (trains and scores what is missing)."),
    "run": ("run", "Another model's probability maps as a run: import, remove."),
    "evaluate": ("evaluate", "Measure a run on masks that never become labels."),
    "release": ("release", "The labels as a finished data set, with folds and a data card."),
    "simulate": ("simulate", "Would this have beaten random here? Replays on known masks."),
    "jobs": ("jobs", "Jobs: list, show, logs, cancel, retry, first."),
    "undo": ("undo", "Take back the last action."),
    "redo": ("undo", "Do again what was taken back last."),
    "log": ("undo", "What was done, when and by whom."),
    "encoder": ("encoder", "Encoders and their weights: list, install, use."),
    "trust": ("trust", "What a project would run; agree to it."),
    "backup": ("backup", "Copy the project's database, verified; list the copies."),
    "restore": ("backup", "Put a copy of the database back."),
    "export-project": ("export_project", "Everything in plain files that outlive this tool."),
    "completion": ("completion", "Completion for bash, zsh and fish: print or install it."),
    "man": ("man", "Manual pages: print one, or install them all."),
    "doctor": ("doctor", "Check the machine and the project; say what to do."),
}

HELP = """\b
Decide which scans to label next.

\b
The loop:  init → select → export-queue → (label) → import-masks → next → …

PROJECT is a folder with a coldal.toml. It comes first, or after an action: right
after it, or last. Else it is what -C names, then COLDAL_PROJECT, then the nearest
folder upward.
"""


class LazyGroup(click.Group):
    """Lists commands from a table, so that ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"coldal_tui.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table, without importing a command."""
        from click.shell_completion import CompletionItem

        found = [(n, told) for n, (_, told) in COMMANDS.items() if n.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=told) for name, told in found), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}.{_hint(name)}")
        return super().resolve_command(ctx, args)


def _hint(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=2)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    if "/" in name:
        return " A project comes after the command: coldal-tui open PROJECT"
    return ""


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from coldal_tui.version import full_version

        click.echo(f"coldal-tui {full_version()}")
        context.exit()


@click.group(cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks; may stand after the command, too.")
@click.option(
    "--redact", is_flag=True, help="Show pseudonyms in place of names; anywhere in the call."
)
@click.option("-C", "project", metavar="PROJECT", help="The project, for commands that name none.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, with the commit, and exit.",
)
@click.pass_context
def cli(context: click.Context, debug: bool, redact: bool, project: str | None) -> None:
    context.obj = project


def main() -> None:
    """Run the command line; errors become one clear message and an exit status.

    0 done, 1 the work failed, 2 the call was wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name or a glyph that the terminal's encoding lacks must not end the program.
            stream.reconfigure(errors="backslashreplace")
    debug, arguments = split_flag("--debug", sys.argv[1:])
    hides, arguments = split_flag("--redact", arguments)
    status = _run(arguments, debug, hides=hides or is_asked(os.environ.get(VARIABLE)))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would fail again, and loudly, when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    sys.exit(status)


def split_flag(flag: str, arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Remove ``flag`` from the arguments, wherever it is before a ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word != flag]
    return len(kept) < end, [*kept, *arguments[end:]]


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the output is for a script: then an error is a JSON document, too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def _run(arguments: list[str], debug: bool, *, hides: bool = False) -> int:
    stdout = sys.stdout
    as_json = wants_json(arguments)
    try:
        if hides:
            from coldal_tui.cli.redacting import redact

            arguments = redact(arguments)
            stdout = sys.stdout
        status = cli.main(arguments, prog_name="coldal-tui", standalone_mode=False)
    except click.ClickException as error:
        _trace(debug)
        error.show()
        if as_json:
            _print_error(code="usage", what=error.format_message())
        return error.exit_code
    except click.Abort:
        click.echo("Aborted.", err=True)
        if as_json:
            _print_error(code="interrupted", what="interrupted")
        return INTERRUPTED
    except SystemExit as end:
        # Where the reader of a pipe has gone, click wraps stdout and ends with 1; but that is no
        # failure of the work.
        return PIPE_CLOSED if sys.stdout is not stdout else int(end.code or 0)
    except Exception as error:
        _trace(debug)
        return _explain(error, as_json)
    return status if isinstance(status, int) else 0


def _print_error(
    *, code: str, what: str, where: str | None = None, remedy: str | None = None
) -> None:
    """Print the JSON document of a failed call; the message for people goes to stderr."""
    import json

    told = {"error": {"code": code, "what": what, "where": where, "remedy": remedy}}
    # A pipe whose reader has gone is dealt with when the program ends.
    with contextlib.suppress(BrokenPipeError):
        click.echo(json.dumps(shown_document(told), indent=2))


def _trace(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _explain(error: Exception, as_json: bool) -> int:
    from coldal_tui.errors import ColdalError
    from coldal_tui.visible import visible

    known = error if isinstance(error, ColdalError) else _from_system(error)
    mark = click.style("Error:", fg="red", bold=True) if known is not None else "Error:"
    told = known if known is not None else _defect(error)
    click.echo(f"{mark} {visible(told, keep=chr(10))}", err=True)
    if as_json:
        _print_error(code=told.code, what=told.what, where=told.where, remedy=told.remedy)
    return told.exit_code


def _defect(error: Exception) -> ColdalError:
    from coldal_tui.errors import ColdalError

    return ColdalError(
        f"{type(error).__name__}: {error}",
        remedy="this is a defect of coldal-tui; run again with --debug to see where",
        code="defect",
    )


def _from_system(error: Exception) -> ColdalError | None:
    """Errors of the operating system or the disk, which neither program nor call caused."""
    from coldal_tui.errors import ColdalError

    if isinstance(error, OSError) and error.strerror:
        return ColdalError(
            error.strerror,
            where=os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else None,
            remedy="check the permissions and the free space there; coldal-tui doctor looks, too",
            code="system",
        )
    if any(f"apsw.{name}" == _full_name(type(error)) for name in REFUSALS):
        return ColdalError(
            f"the project's database refuses: {error}",
            remedy="check the permissions and the free space there; coldal-tui doctor looks, too",
            code="database",
        )
    return None


def _full_name(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"
