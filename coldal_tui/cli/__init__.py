"""The command line. Commands are found by name and imported only when they are called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

# name → (module below coldal_tui.cli, what it does). The order is the order of the loop.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole loop on the sample data."),
    "init": ("setup", "Make a project and index its images."),
    "open": ("app", "Open the terminal app."),
    "status": ("status", "Budget, clusters, rounds, labels, runs, jobs, and the next step."),
    "index": ("setup", "Look for added, changed and removed scans."),
    "embed": ("steps", "Embed scans with the project's encoder."),
    "map": ("steps", "Project the embeddings to two dimensions."),
    "select": ("steps", "Pick the first queue (embeds and maps what is missing)."),
    "queue": ("queue", "The ranked queue; skip, pin, assign, reopen or exclude scans."),
    "why": ("queue", "The numbers behind a pick."),
    "export-queue": ("exchange", "Hand queued scans to labelers."),
    "import-masks": ("exchange", "Take masks back from a labeler."),
    "labels": ("labels", "Labels and quarantine: list, accept, reject, confirm-empty, retry."),
    "train": ("steps", "Train the segmentation model on the labels."),
    "score": ("steps", "Entropy of the newest run's predictions on the pool."),
    "next": ("steps", "Pick the next batch (trains and scores what is missing)."),
    "evaluate": ("evaluate", "Measure a run on masks that never become labels."),
    "jobs": ("jobs", "Jobs: list, show, logs, cancel, retry."),
    "undo": ("queue", "Take back the last action."),
    "encoder": ("encoder", "Encoders and their weights: list, install, use."),
    "doctor": ("doctor", "Check the machine and the project; say what to do."),
}

HELP = """\b
Decide which scans to label next.

\b
The loop:  init → select → export-queue → (label) → import-masks → next → …

PROJECT comes first in every command and defaults to the nearest folder upward
that holds a coldal.toml.
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="coldal-tui", message="coldal-tui %(version)s")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    ctx.obj = {"debug": debug}


def main() -> None:
    """Run the command line; errors become one clear message and an exit status.

    0 done, 1 the work failed, 2 the call was wrong.
    """
    debug = "--debug" in sys.argv
    try:
        cli.main(prog_name="coldal-tui", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        sys.exit(_explain(error, debug))


def _explain(error: Exception, debug: bool) -> int:
    from coldal_tui.errors import ColdalError

    if debug:
        import traceback

        traceback.print_exc()
    if isinstance(error, ColdalError):
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
        return error.exit_code
    click.echo(
        f"Error: {type(error).__name__}: {error}\n  → this is a defect of coldal-tui; "
        "run again with --debug to see where",
        err=True,
    )
    return 1
