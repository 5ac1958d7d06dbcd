"""``release``: writes the labels as a finished data set, and checks one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.cli.handing_out import dates_of, dates_option
from coldal_tui.cli.progress import file_progress
from coldal_tui.errors import UsageError
from coldal_tui.visible import counted, listed

if TYPE_CHECKING:
    from coldal_tui.exchange.deidentify.keys import Dates
    from coldal_tui.exchange.release.checksums import Findings
    from coldal_tui.project.release.releasing import ReleaseReport

_SHOWN = 10


@click.command("release")
@common.project_argument("[PROJECT] OUT | verify OUT")
@click.option(
    "--to",
    "format_",
    type=click.Choice(["folder", "nnunet", "coco", "bids"]),
    default="folder",
    show_default=True,
    help="The format of the data set.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=1),
    help="Folds without a shared patient; default 5, or as many as there are patients.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the folds.")
@click.option("--licence", "--license", help="Such as CC-BY-4.0; goes into the data card.")
@click.option("--link", is_flag=True, help="Link images that go in unchanged, don't copy them.")
@click.option(
    "--train-on-all",
    is_flag=True,
    help="Put the validation patients into the folds; otherwise they are held out.",
)
@click.option(
    "--deidentify/--no-deidentify",
    default=None,
    help="Pseudonyms and clean headers. Default: as the newest export.",
)
@dates_option
@click.option("--bids-suffix", help="With --to bids: what the volumes are: T1w, T2w, FLAIR, ct, …")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def release_command(
    targets: tuple[str, ...],
    format_: str,
    folds: int | None,
    seed: int,
    licence: str | None,
    link: bool,
    train_on_all: bool,
    deidentify: bool | None,
    dates: Dates | None,
    bids_suffix: str | None,
    as_json: bool,
) -> None:
    """Write all labels and their images to the new folder OUT: a finished data set.

    With folds, a data card, a methods paragraph, and checksums. It is read-only and never
    changed; `release verify OUT` finds what has changed since.

    \b
    coldal-tui release nnUNet_raw/Dataset101_Lung --to nnunet --licence CC-BY-4.0
    coldal-tui release verify nnUNet_raw/Dataset101_Lung
    """
    from coldal_tui.project.release.releasing import Wanted, release, was_deidentified

    named, words = which_project.take_project(targets)
    if words and words[0] == "verify":
        _verify(named, words[1:], as_json)
        return
    if bids_suffix is not None and format_ != "bids":
        raise UsageError(
            "--bids-suffix is about --to bids", remedy="add --to bids, or leave it out"
        )
    root, rest = which_project.split_project(targets, rest=True)
    if len(rest) != 1:
        raise UsageError("where to?", remedy="coldal-tui release [PROJECT] OUT")
    with common.writing(root) as project:
        hide = was_deidentified(project) if deidentify is None else deidentify
        wanted = Wanted(
            format=format_,
            folds=folds,
            seed=seed,
            licence=licence,
            link=link,
            train_on_all=train_on_all,
            deidentify=dates_of(dates, hidden=hide),
            bids_suffix=bids_suffix,
        )
        if hide and deidentify is None:
            common.say("de-identified, as the newest export; --no-deidentify releases real names")
        with file_progress("releasing") as advance:
            report = release(project, Path(rest[0]), wanted, progress=advance)
    if as_json:
        common.print_json(_document(report))
        return
    _show(report)


def _document(report: ReleaseReport) -> dict[str, object]:
    facts, released = report.facts, report.released
    return {
        "folder": str(released.folder),
        "format": facts.format,
        "scans": facts.scans,
        "patients": facts.patients,
        "held_out": facts.held_out,
        "folds": list(facts.folds),
        "overlap": facts.overlap,
        "files": released.files,
        "links": released.links,
        "digest": released.digest,
        "key_file": str(report.key_file) if report.key_file else None,
    }


def _show(report: ReleaseReport) -> None:
    facts, released = report.facts, report.released
    common.echo(
        f"released {counted(facts.scans, 'labelled scan')} of "
        f"{counted(facts.patients, 'patient')} to {released.folder}"
    )
    if facts.folds:
        sizes = ", ".join(str(size) for size in facts.folds)
        common.echo(f"{counted(len(facts.folds), 'fold')} of {sizes} scans; no shared patient")
    else:
        common.echo("no folds: fewer than two patients to train on")
    if facts.held_out:
        common.echo(
            f"held out: {counted(facts.held_out, 'scan')} of "
            f"{counted(facts.held_out_patients, 'validation patient')}"
        )
    if facts.overlap:
        common.echo(f"{counted(facts.overlap, 'scan')} drawn by several people: overlap/")
    if released.links:
        common.echo(f"{counted(released.links, 'image')} linked: they must stay where they are")
    if facts.licence is None:
        common.echo("no licence is stated: --licence NAME says what others may do with it")
    if facts.format == "nnunet" and not _is_nnunet_name(released.folder.name):
        common.echo("nnU-Net wants folders called Dataset123_Name: rename or link this one")
    if report.key_file:
        common.echo(f"who is who, to keep: {report.key_file}")
        common.echo("not removed: text that is burned into pixels, and faces; look before you send")
    common.echo(f"its digest: {released.digest}")


def _is_nnunet_name(name: str) -> bool:
    head, _, rest = name.removeprefix("Dataset").partition("_")
    return name.startswith("Dataset") and len(head) == 3 and head.isdigit() and bool(rest)


def _verify(named: tuple[str, ...], words: tuple[str, ...], as_json: bool) -> None:
    from coldal_tui.exchange.release.checksums import verify_release

    if len(words) != 1:
        raise UsageError("which release?", remedy="coldal-tui release verify OUT")
    folder = Path(words[0])
    with file_progress("checking") as advance:
        found = verify_release(folder, advance)
    recorded = _recorded(named, folder)
    good = found.whole and recorded in (None, found.digest)
    if as_json:
        common.print_json(
            {
                "folder": str(folder.absolute()),
                "whole": good,
                "files": found.files,
                "digest": found.digest,
                "recorded": recorded,
                "changed": list(found.changed),
                "missing": list(found.missing),
                "extra": list(found.extra),
                "unread": [{"file": name, "message": why} for name, why in found.unread],
            }
        )
    else:
        _tell(folder, found, recorded)
    if not good:
        raise SystemExit(1)


def _recorded(named: tuple[str, ...], folder: Path) -> str | None:
    """The digest in the log of the project that is named or near, if that made the release."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.release.releasing import recorded_digest

    root = Path(named[0]) if named else which_project.nearest_project()
    if root is None:
        return None
    try:
        with common.reading(root) as project:
            return recorded_digest(project, folder)
    except ColdalError:
        if named:
            raise
        return None


def _tell(folder: Path, found: Findings, recorded: str | None) -> None:
    for words, names in (
        ("changed", found.changed),
        ("missing", found.missing),
        ("extra", found.extra),
        ("can't be read", tuple(f"{name} ({why})" for name, why in found.unread)),
    ):
        if names:
            common.echo(f"{words}: {counted(len(names), 'file')}: {listed(names, _SHOWN)}")
    if recorded is not None and recorded != found.digest:
        common.echo(f"the list of checksums is not the one that the project made: {recorded}")
    elif found.whole:
        common.echo(f"whole: {counted(found.files, 'file')} of {folder}")
        if recorded is not None:
            common.echo("as the project's log has it")
    common.echo(f"its digest: {found.digest}")
