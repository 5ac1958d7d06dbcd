"""``queue rerank``: the waiting scans of a round picked anew with another α, shown or done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common
from coldal_tui.cli.common import number

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.queue.rerank import Bench, Reranked


def rerank_queue(project: Project, alpha: float | None, *, dry_run: bool, as_json: bool) -> None:
    """Pick the round's free places with ``alpha`` and print them; without ``dry_run``, do it."""
    from coldal_tui.project.queue.rerank import apply, read_bench, rerank

    if alpha is None:
        raise click.UsageError("which α? coldal-tui queue rerank --alpha A")
    bench = read_bench(project)
    found = rerank(bench, alpha)
    done = None if dry_run else apply(project, bench, found)
    if as_json:
        keys = ("round", "scan_id", "rank", "role", "cluster", "score", "entropy", "diversity")
        rows = [{key: (row | {"round": bench.round})[key] for key in keys} for row in found.rows]
        common.print_json(
            {
                "round": bench.round,
                "alpha": alpha,
                "applied": not dry_run,
                "came": list(found.came),
                "left": list(found.left),
                "queue": rows,
            }
        )
        return
    _show(bench, found)
    if done is None:
        common.say("nothing is changed; without --dry-run the queue follows")
    else:
        common.echo(done)
        common.say("coldal-tui undo takes this back")


def _show(bench: Bench, found: Reranked) -> None:
    from coldal_tui.project.views.why_words import cluster_name

    was = {place.scan_id: place.rank for place in bench.free}
    table = common.table("rank>", "scan~", "cluster", "H>", "D>", "S>", "was>")
    for row in found.rows:
        values = [number(row[key]) for key in ("entropy", "diversity", "score")]
        before = str(was.get(row["scan_id"], "new"))
        cluster = cluster_name(row["cluster"] if row["cluster"] >= 0 else None)
        table.add_row(str(row["rank"]), row["scan_id"], cluster, *values, before)
    common.console().print(table)
    if found.left:
        common.echo(f"leaving: {', '.join(found.left)}")
