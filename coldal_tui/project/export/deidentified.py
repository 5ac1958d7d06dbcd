"""Plans the names in an export: those of the project, or pseudonyms with a check."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldal_tui.exchange.deidentify.keys import Dates, Keys, write_keys
from coldal_tui.exchange.deidentify.leak_check import refuse_leaks
from coldal_tui.exchange.deidentify.masking import Deidentifier
from coldal_tui.exchange.exporters import ExportItem
from coldal_tui.exchange.exporters.delivering import Check
from coldal_tui.project.project import Project
from coldal_tui.project.pseudonyms import key_path, secrets_of
from coldal_tui.project.queue.assign import Shares
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.scans.new_ids import safe_name


@dataclass(frozen=True)
class Plan:
    """The files of an export and their names.

    ``folder`` is the default target. ``called`` maps scans and people to their pseudonyms.
    ``check`` refuses an export that still names a patient, and stores the keys.
    """

    folder: Path
    shares: Shares
    items: Mapping[str, ExportItem]
    called: dict[str, str] = field(default_factory=dict)
    deidentifier: Deidentifier | None = None
    key_file: Path | None = None
    check: Check | None = None


def hidden(
    project: Project,
    scans: Sequence[ScanRecord],
    shares: Shares,
    items: Mapping[str, ExportItem],
    dates: Dates,
) -> Plan:
    """The plan of a de-identified export: random pseudonyms for scans, patients and people."""
    keys = Keys(dates)
    deidentifier = Deidentifier(keys)
    called = {scan.scan_id: keys.scan(scan.scan_id, scan.patient_id) for scan in scans}
    people = {name: keys.person(name) for share in shares.values() for name in share}
    # A date in the folder's name would reveal when.
    name = f"{secrets.token_hex(4)}-{safe_name(project.name)}"
    key_file = key_path(project, name)

    def check(folder: Path) -> None:
        refuse_leaks(folder, secrets_of(project, scans, people, deidentifier.removed))
        write_keys(key_file, keys)

    return Plan(
        project.layout.exports / name,
        {called[scan]: tuple(people[one] for one in share) for scan, share in shares.items()},
        {called[scan]: replace(item, scan_id=called[scan]) for scan, item in items.items()},
        called | people,
        deidentifier,
        key_file,
        check,
    )
