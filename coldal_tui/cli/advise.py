"""``advise``: describes the pool from embeddings alone, and advises a first strategy."""

from __future__ import annotations

from typing import Any

import click

from coldal_tui.cli import common
from coldal_tui.cli.progress import run_steps

RESULTS = "docs/results/README.md"


@click.command("advise")
@common.project_argument()
@click.option(
    "--aim",
    type=click.Choice(["average", "every-kind"]),
    help="Dice over all scans, or every kind alike; default: coldal.toml.",
)
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: coldal.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def advise_command(
    targets: tuple[str, ...], aim: str | None, device: str | None, as_json: bool
) -> None:
    """What the pool is like, and which strategy of the first queue follows from that.

    Looks at embeddings alone (and embeds what is missing). It changes nothing, and claims no gain
    that was not measured: simulate measures on masks that you have.
    """
    import msgspec

    from coldal_tui.scheduler.pool_looks import pool_advice

    with common.open_project(targets) as project:
        run_steps(project, [("embed", {"device": device})], detach=False)
        wanted, looks, advice = pool_advice(project, aim)
        command = common.paste(f"coldal-tui select --strategy {advice.strategy}", project.root)
    if as_json:
        document: dict[str, Any] = {
            "aim": wanted,
            "looks": msgspec.to_builtins(looks) | {"has_kinds": looks.has_kinds},
            "advice": msgspec.to_builtins(advice),
            "results": RESULTS,
        }
        common.print_json(document)
        return
    for sentence in advice.because:
        common.echo(f"· {sentence}")
    common.echo(f"\nfor the aim {wanted!r}: {command}")
    if advice.one_per_patient:
        common.echo("with one_per_patient = true under [selection] in coldal.toml")
    common.echo(f"measured: {advice.measured} ({RESULTS})")
