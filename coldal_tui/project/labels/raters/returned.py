"""Stores the drawings that an import brought, and settles their scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import stored_file
from coldal_tui.project.labels.raters.drawings import (
    BACK,
    DRAWN,
    HONEYPOT,
    OUT,
    REPEAT,
    RULES,
    SUPERSEDED,
    THIRD,
    Drawing,
    Standing,
    drawing_rows,
    newest_by_person,
    standing_of,
    with_new,
)
from coldal_tui.project.labels.raters.joint_label import joint_verdict
from coldal_tui.project.labels.raters.rulings import Policy, Ruling, rule_on
from coldal_tui.project.labels.staging import LabelWriter, Staged, Stager
from coldal_tui.project.project import Project
from coldal_tui.project.queue.assign import people_of

_CHECKED = "the drawing is kept as a {kind}: it checks {author} and changes no label"
_Key = tuple[str, str, tuple[str, ...]]


def policy_of(project: Project, options: ImportOptions) -> Policy:
    """The policy of one call: the project's rule, and what the call asks for."""
    kind = options.conflict.kind
    return Policy(
        consensus=project.config.raters.consensus,
        asked=kind if kind in RULES else "",
        first=options.accept_first,
        replace=kind in ("newest", "annotator"),
    )


@dataclass
class _Arrived:
    """The drawings of one scan that an import has stored: verdicts by version."""

    verdicts: dict[int, Verdict] = field(default_factory=dict)


class Returned:
    """Settles the scans whose drawings come back.

    :meth:`prepare` reads pixels and needs no transaction; :meth:`take` and :meth:`settle` run
    inside the action and read rows alone, so that other processes wait for no image.
    """

    def __init__(self, project: Project, stager: Stager, options: ImportOptions) -> None:
        self._project = project
        self._stager = stager
        self._policy = policy_of(project, options)
        self.replaces = self._policy.replace
        self._confirm_empty = options.confirm_empty
        self._joint: dict[_Key, Verdict | ColdalError] = {}
        self._arrived: dict[str, _Arrived] = {}
        self._read()

    def _read(self) -> None:
        store = self._project.store
        drawn = store.tuples("SELECT DISTINCT scan_id FROM labels")
        shared = store.tuples("SELECT scan_id, assignee FROM queue WHERE assignee LIKE '%,%'")
        self._crowded = {scan for (scan,) in drawn}
        self._crowded |= {scan for scan, names in shared if len(people_of(names)) > 1}
        self._checks: dict[tuple[str, str], Row] = {
            (row["scan_id"], person_key(row["person"])): row
            for row in store.rows(
                "SELECT handout_id, scan_id, person, kind FROM handouts WHERE state = ? "
                "AND kind IN (?, ?) ORDER BY handout_id DESC",
                (OUT, HONEYPOT, REPEAT),
            )
        }

    def prepare(self, verdicts: Iterable[Verdict]) -> None:
        """Make and stage the joint labels that :meth:`settle` will need."""
        new: dict[str, dict[str, Staged]] = {}
        for verdict in verdicts:
            staged = verdict.stored
            if self._by_person(verdict) and isinstance(staged, Staged) and staged.file is not None:
                people = new.setdefault(verdict.scan_id or "", {})
                people[verdict.author or ""] = staged
        for scan_id, drawn in new.items():
            if len(drawn) == 1 and scan_id not in self._crowded:
                continue
            self._crowded.add(scan_id)
            shas = {author: staged.sha256 for author, staged in drawn.items()}
            standing = with_new(standing_of(self._project.store, scan_id), shas)
            ruling = rule_on(standing, self._policy)
            if ruling.outcome == "joint":
                files = {author: staged.file for author, staged in drawn.items()}
                self._make(scan_id, ruling.rule, standing, files)

    def preview(self, verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Ruling]:
        """What would become of scans, by scan and person, where nothing is staged."""
        found: dict[tuple[str, str], Ruling] = {}
        groups: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            if self._by_person(verdict) and not verdict.stored.known:
                groups.setdefault(verdict.scan_id or "", []).append(verdict)
        for scan_id, group in groups.items():
            shas = {v.author or "": v.drawn.key.hex() if v.drawn else "" for v in group}
            standing = with_new(standing_of(self._project.store, scan_id), shas)
            ruling = rule_on(standing, self._policy)
            found |= {(scan_id, author): ruling for author in shas}
        return found

    def _by_person(self, verdict: Verdict) -> bool:
        """Whether it is an accepted mask of a known person that may become a label."""
        return (
            verdict.status == "accepted"
            and bool(verdict.author and verdict.scan_id)
            and self.check_of(verdict) is None
        )

    def check_of(self, verdict: Verdict) -> Row | None:
        """The check (honeypot or repeat) of which this is the drawing, else None."""
        if verdict.status != "accepted" or not verdict.author or verdict.scan_id is None:
            return None
        return self._checks.get((verdict.scan_id, person_key(verdict.author)))

    def _make(
        self,
        scan_id: str,
        rule: str,
        standing: Standing,
        files: Mapping[str, Path | None],
    ) -> None:
        rows = newest_by_person(drawing_rows(self._project.store, scan_id))
        pairs: list[tuple[Drawing, Path]] = []
        try:
            for one in standing.drawings:
                row = rows.get(person_key(one.author))
                if one.new:
                    path = files.get(one.author)
                else:
                    path = stored_file(self._project, row) if row is not None else None
                if path is None:
                    raise ColdalError(
                        f"the drawing of {one.author} is gone",
                        where=scan_id,
                        remedy="import it again",
                        code="gone",
                    )
                pairs.append((one, path))
            verdict = joint_verdict(scan_id, rule, pairs, confirm_empty=self._confirm_empty)
            staged = self._stager.stage(verdict)
            made: Verdict | ColdalError = replace(verdict, label=None, stored=staged)
        except ColdalError as error:
            made = error
        self._joint[_key(scan_id, rule, standing)] = made

    def take(self, writer: LabelWriter, verdict: Verdict, staged: Staged) -> str:
        """Store one accepted or kept mask; return its status, ``""`` where ``settle`` says it."""
        scan_id = verdict.scan_id
        assert scan_id is not None  # a mask without a scan is not accepted
        check = self.check_of(verdict)
        if check is not None:
            writer.draw(verdict, staged, check["kind"])
            self._project.store.update("handouts", {"handout_id": check["handout_id"]}, state=BACK)
            del self._checks[scan_id, person_key(verdict.author or "")]
            return "checked"
        if not self._by_person(verdict) or scan_id not in self._crowded:
            writer.store(verdict, staged)
            return verdict.status
        arrived = self._arrived.setdefault(scan_id, _Arrived())
        arrived.verdicts[writer.draw(verdict, staged)] = verdict
        return ""

    def settle(self, writer: LabelWriter) -> list[tuple[str, Verdict]]:
        """Rule on every scan whose drawings were taken; the outcomes of their masks."""
        found: list[tuple[str, Verdict]] = []
        for scan_id, arrived in self._arrived.items():
            found += self._settle(writer, scan_id, arrived.verdicts)
        return found

    def _settle(
        self, writer: LabelWriter, scan_id: str, new: dict[int, Verdict]
    ) -> list[tuple[str, Verdict]]:
        store = self._project.store
        standing = standing_of(store, scan_id)
        drawings = tuple(replace(one, new=one.version in new) for one in standing.drawings)
        standing = replace(standing, drawings=drawings)
        self._retire_older(scan_id, standing)
        for one in drawings:
            if one.new:
                store.execute(
                    "UPDATE handouts SET state = ? WHERE scan_id = ? AND kind = ? AND state = ? "
                    "AND person = ?",
                    (BACK, scan_id, THIRD, OUT, one.author),
                )
        ruling = rule_on(standing, self._policy)
        if ruling.outcome == "joint":
            return self._settle_jointly(writer, scan_id, standing, ruling, new)
        counts = ruling.drawing
        if ruling.outcome == "label" and counts is not None:
            writer.let_count(scan_id, counts.version)
            same = {
                one.version
                for one in drawings
                if one.sha256 == counts.sha256 or self._policy.replace
            }
            self._close(scan_id, same - {counts.version})
            return [
                _labelled(verdict, version, counts, ruling)
                if version in same
                else ("disputed", _because(verdict, _beside(counts)))
                for version, verdict in new.items()
            ]
        if ruling.outcome == "wait":
            return [("waiting", _because(verdict, ruling.why)) for verdict in new.values()]
        label = standing.label
        same = {one.version for one in drawings if label and one.sha256 == label.sha256}
        self._close(scan_id, same)
        return [
            ("kept", _because(verdict, "the same as the label"))
            if version in same
            else ("disputed", _because(verdict, ruling.why))
            for version, verdict in new.items()
        ]

    def _settle_jointly(
        self,
        writer: LabelWriter,
        scan_id: str,
        standing: Standing,
        ruling: Ruling,
        new: dict[int, Verdict],
    ) -> list[tuple[str, Verdict]]:
        made = self._joint.get(_key(scan_id, ruling.rule, standing))
        if not isinstance(made, Verdict):
            # Only the disk or another import in between leave no joint label.
            why = made.what if made else "others' drawings were stored meanwhile"
            return [("disputed", _because(verdict, why)) for verdict in new.values()]
        label = standing.label
        versions = {one.version for one in standing.drawings}
        kept = [("kept", verdict) for verdict in new.values()]
        if label is not None and label.decided and label.sha256 == made.stored.sha256:
            self._close(scan_id, versions)
            return kept
        version = writer.join(made, made.stored)
        writer.let_count(scan_id, version, ruling.rule)
        self._close(scan_id, versions)
        return [*kept, ("accepted", made)]

    def _retire_older(self, scan_id: str, standing: Standing) -> None:
        """A person's newer drawing takes the place of the one that waited."""
        newest = {person_key(one.author): one.version for one in standing.drawings}
        older = {
            row["version"]
            for row in drawing_rows(self._project.store, scan_id)
            if row["state"] == DRAWN
            and not row["purpose"]
            and row["version"] < newest.get(person_key(row["author"] or ""), 0)
        }
        self._close(scan_id, older)

    def _close(self, scan_id: str, versions: Iterable[int]) -> None:
        """Nothing is open about these drawings any more."""
        for version in sorted(versions):
            self._project.store.update(
                "labels",
                {"scan_id": scan_id, "version": version, "state": DRAWN},
                state=SUPERSEDED,
            )


def _key(scan_id: str, rule: str, standing: Standing) -> _Key:
    return scan_id, rule, tuple(sorted(f"{d.author} {d.sha256}" for d in standing.drawings))


def _labelled(
    verdict: Verdict, version: int, counts: Drawing, ruling: Ruling
) -> tuple[str, Verdict]:
    if version == counts.version:
        return "accepted", verdict
    why = ruling.why or f"the same as the label by {counts.author}"
    return ("kept" if counts.new else "accepted"), _because(verdict, why)


def _beside(counts: Drawing) -> str:
    return f"it differs from the label by {counts.author}, which stays"


def _because(verdict: Verdict, why: str) -> Verdict:
    return replace(verdict, message=why)
