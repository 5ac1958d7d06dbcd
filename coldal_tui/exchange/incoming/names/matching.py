"""Matches masks to scans: by UID, manifest, scan id, then file name; never guesses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import PurePosixPath

from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.incoming.names.match_template import (
    CASE,
    SCAN_FIELDS,
    Said,
    Table,
    Template,
    parse_match,
)
from coldal_tui.exchange.incoming.names.name_readings import (
    ClassWords,
    bids_label,
    is_general,
    numbered,
    side_of,
    sided,
)
from coldal_tui.exchange.incoming.names.scan_names import SUFFIX, Found, ScanNames
from coldal_tui.exchange.manifest import Manifest
from coldal_tui.exchange.names import file_stem, folders, same_name
from coldal_tui.exchange.slices import SliceStack

_SHOWN = 4
_TABLE, _TEMPLATE = "--match table", "--match"
SAID = frozenset({_TABLE, _TEMPLATE, f"{_TEMPLATE} and folder"})
"""``matched_by`` of scans found with ``--match``."""
SURE = SAID | {"UID", "manifest", "scan id in the file", "an earlier export"}
"""``matched_by`` of scans found without interpreting names."""


@dataclass(frozen=True)
class Part:
    """The role of a file in a mask of several files.

    ``kind`` is why: ``class``, ``side``, ``number`` or ``star``. Parts of one mask have the same
    ``whole``; ``name`` distinguishes them. ``class_name`` is the single class in the file;
    ``certain``: the user said so, or its name contains nothing else.
    """

    kind: str
    whole: str
    name: str
    class_name: str | None = None
    certain: bool = False


@dataclass(frozen=True)
class Match:
    """The scan of a mask, how it was matched, and the author if known.

    ``slices`` is the slice stack of its picture, if it is a slice of a volume; ``part`` is its role
    in a mask of several files.
    """

    scan_id: str
    how: str
    author: str | None = None
    slices: SliceStack | None = None
    part: Part | None = field(default=None, compare=False)


@dataclass(frozen=True)
class NoMatch:
    """Why a mask has no scan: ``unmatched``, ``ambiguous``, ``other-image``, ``template``.

    ``other-class``: it shows a class the project lacks. ``nearest`` are similar scan ids.
    """

    code: str
    message: str
    remedy: str | None = None
    nearest: tuple[str, ...] = ()


class Matcher:
    """Matches masks to scans. Build once per import; almost every look-up uses a dictionary."""

    def __init__(
        self,
        targets: Iterable[ScanTarget],
        template: str | None = None,
        classes: ClassWords | None = None,
        handed_out: Sequence[Manifest] = (),
    ) -> None:
        """``handed_out`` are the manifests of the project's own exports, the newest first."""
        found = list(targets)
        self._targets: dict[str, ScanTarget] = {target.scan_id: target for target in found}
        self._names = ScanNames(found)
        self._uids: dict[str, tuple[str, ...]] | None = None
        self._said = parse_match(template)
        self._by_case: dict[str, set[str]] | None = None
        self._classes = classes or ClassWords()
        self._handed_out = handed_out

    def target(self, scan_id: str) -> ScanTarget:
        """The target scan of a match."""
        return self._targets[scan_id]

    def match(self, candidate: Candidate, manifest: Manifest | None = None) -> Match | NoMatch:
        """The scan of a mask, or why there is none."""
        if isinstance(self._said, Table):
            listed = self._by_table(self._said, candidate)
            if listed is not None:
                return listed
        by_uid = self._by_uid(candidate.uids)
        if by_uid is not None:
            return by_uid
        if candidate.scan_id is not None and candidate.scan_id in self._targets:
            return Match(candidate.scan_id, "scan id in the file")
        if isinstance(self._said, Table):
            what = f"the table {self._said.path.name} does not list it"
            return NoMatch("template", what)
        if self._said is not None:
            return self._by_template(candidate.name, manifest)
        stem = file_stem(candidate.name)
        return (
            self._by_manifest(stem, manifest)
            or self._by_earlier_export(stem)
            or self._unless_foreign(self._by_name(candidate), candidate.uids)
        )

    def _by_uid(self, uids: Sequence[str]) -> Match | NoMatch | None:
        """The scan that has all known UIDs: scans may share a series, but not an instance."""
        if not uids:
            return None
        table = self._uid_table()
        known = [set(table[uid]) for uid in uids if uid in table]
        if not known:
            return None
        found = set.intersection(*known) or set.union(*known)
        if len(found) == 1:
            return Match(found.pop(), "UID")
        return _ambiguous("its UIDs", found, "Export the mask of one series at a time.")

    def _uid_table(self) -> dict[str, tuple[str, ...]]:
        """Scans by UID; built for the first mask with UIDs, since a CT has one UID per slice."""
        if self._uids is None:
            table: dict[str, tuple[str, ...]] = {}
            for target in self._targets.values():
                alone = (target.scan_id,)
                for uid in dict.fromkeys((*target.uids, *target.renamed)):
                    table[uid] = table[uid] + alone if uid in table else alone
            self._uids = table
        return self._uids

    def _unless_foreign(self, found: Match | NoMatch, uids: Sequence[str]) -> Match | NoMatch:
        """Refuse a match by name if the mask's UIDs differ; scans without UIDs are accepted."""
        if not uids:
            return found
        if isinstance(found, Match) and not self._targets[found.scan_id].uids:
            return found
        if isinstance(found, NoMatch) and found.code != "unmatched":
            return found
        also = f" (scan {found.scan_id!r} has its name only)" if isinstance(found, Match) else ""
        return NoMatch(
            "unmatched",
            f"no scan of the project has the series it was drawn on, UID {uids[0]}{also}",
            "Index that series; or, where its UIDs were replaced on the way, say how masks are "
            "named with --match '{scan_id}'.",
            (found.scan_id,) if isinstance(found, Match) else found.nearest,
        )

    def _by_table(self, table: Table, candidate: Candidate) -> Match | NoMatch | None:
        row = table.row(candidate.name) or table.row(candidate.file.as_posix())
        if row is None:
            return None
        if row.scan_id not in self._targets:
            return self._nothing(f"scan id {row.scan_id!r}, which the table gives it", row.scan_id)
        part = None
        if row.class_name:
            class_name = self._classes.named(row.class_name)
            if class_name is None:
                return _other_class(row.class_name)
            part = Part("class", f"{row.scan_id} {row.annotator}", class_name, class_name, True)
        return Match(row.scan_id, _TABLE, row.annotator or None, part=part)

    def _by_template(self, name: str, manifest: Manifest | None) -> Match | NoMatch:
        assert isinstance(self._said, Template)  # the only case it is called in
        said = self._said.apply(name)
        if said is None:
            return NoMatch("template", f"its name does not fit --match {self._said.text!r}")
        author = said.fields.get("annotator")
        part = None
        if "class" in said.fields:
            class_name = self._classes.named(said.fields["class"])
            if class_name is None:
                return _other_class(said.fields["class"])
            part = Part("class", said.whole, said.part, class_name, True)
        else:
            part = self._class_said(name, said)
        found = self._by_fields(said.fields, name, manifest)
        if isinstance(found, Match):
            return replace(found, author=author or found.author, part=part)
        return found

    def _class_said(self, name: str, said: Said) -> Part | None:
        """The class in the fixed text of a template: ``{stem}/spleen`` shows the spleen."""
        stem, above = same_name(file_stem(name)), name.replace("\\", "/").rpartition("/")[0]
        known = {same_name(value) for value in said.fields.values()}
        class_name = None if stem in known else self._classes.named(stem)
        if class_name is not None:
            return Part("class", said.whole or above, class_name, class_name, True)
        for rest, ending in self._classes.ending(stem):
            if rest in known:
                return Part("class", f"{above}/{rest}", ending, ending)
        folder = self._part_of_folder(above, stem)
        if folder is not None and folder.class_name and not known & {above.rpartition("/")[2]}:
            return folder
        return Part("star", said.whole, said.part) if said.part or said.whole else None

    def _by_fields(
        self, fields: Mapping[str, str], name: str, manifest: Manifest | None
    ) -> Match | NoMatch:
        """The scan that fits all template fields."""
        key = fields.get("stem") or fields.get("scan_id")
        if key is not None:
            cut = self._cut(key, manifest)
            if cut is not None:
                return cut
        scans: set[str] | None = None
        for name_of, value in fields.items():
            if name_of in SCAN_FIELDS:
                fits = self._fitting(name_of, value)
                scans = fits if scans is None else scans & fits
        shown = ", ".join(f"{f} {v!r}" for f, v in fields.items() if f in SCAN_FIELDS)
        shown = shown.replace("stem ", "file name ").replace("scan_id ", "scan id ")
        if not scans:
            return self._nothing(shown, *(v for f, v in fields.items() if f in SCAN_FIELDS))
        return self._choose(Found(scans, _TEMPLATE), shown, name)

    def _cut(self, key: str, manifest: Manifest | None) -> Match | None:
        """The volume whose slice has this picture name."""
        if manifest is not None and manifest.slice_for(key):
            found = self._by_manifest(key, manifest)
        else:
            found = self._by_earlier_export(key)
        return found if isinstance(found, Match) and found.slices is not None else None

    def _fitting(self, field: str, value: str) -> set[str]:
        """The scans that fit this value of a template field."""
        if field == "scan_id":
            return {value} & self._targets.keys()
        if field == "patient":
            return self._names.of_patient(value)
        if field == CASE:
            return self._cases().get(same_name(value), set())
        if field == "series_uid":
            return set(self._uid_table().get(value, ()))
        if field == "folder":
            return self._names.in_folder(value)
        return self._names.of_stem(value)

    def _cases(self) -> dict[str, set[str]]:
        """Scans by ``{case}``, as the template of the images' names reads it."""
        if self._by_case is None:
            self._by_case = {}
            images = self._said.images if isinstance(self._said, Template) else None
            for target in self._targets.values() if images is not None else ():
                for name in target.names[: len(target.names) - target.pseudonyms]:
                    said = images.apply(name) if images is not None else None
                    if said is not None:
                        self._by_case.setdefault(said.fields[CASE], set()).add(target.scan_id)
        return self._by_case

    def _by_manifest(self, stem: str, manifest: Manifest | None) -> Match | NoMatch | None:
        entry = manifest.entry_for(stem) if manifest else None
        if manifest is None or entry is None:
            return None
        scan_id = self._exported_as(entry.scan_id, manifest)
        if scan_id is None:
            return None
        known = self._targets[scan_id].sha256
        if known and entry.sha256 and known != entry.sha256:
            return NoMatch(
                "other-image",
                f"it was drawn on another version of the image of scan {scan_id!r} "
                "(the manifest's SHA-256 is not the scan's)",
                "Export the scan again, or restore the image that was exported.",
                (scan_id,),
            )
        return Match(scan_id, "manifest", entry.assignee, manifest.slice_for(stem))

    def _exported_as(self, name: str, manifest: Manifest) -> str | None:
        """The scan called ``name`` in a manifest; pseudonyms are among a scan's names."""
        if not manifest.deidentified:
            return name if name in self._targets else None
        return self._names.only(name)

    def _by_earlier_export(self, stem: str) -> Match | NoMatch | None:
        """The volume of a slice that came back without its export folder, by earlier manifests."""
        stacks = [
            (manifest, stack)
            for manifest in self._handed_out
            if (stack := manifest.slice_for(stem)) is not None
        ]
        if not stacks:
            return None
        manifest, newest = stacks[0]
        if any(_way_back(stack) != _way_back(newest) for _, stack in stacks[1:]):
            scan_id = self._exported_as(newest.scan_id, manifest)
            return NoMatch(
                "ambiguous",
                f"{stem!r} is a slice of {len(stacks)} exports that cut the volume differently",
                "Put the file into the returned/ folder of its export and import that.",
                (scan_id,) if scan_id else (),
            )
        found = self._by_manifest(stem, manifest)
        if not isinstance(found, Match):
            return found
        # It was given to several people, so the author is unknown.
        people = {entry.assignee for one, _ in stacks if (entry := one.entry_for(stem))}
        author = found.author if len(people) == 1 else None
        return replace(found, how="an earlier export", author=author)

    def _by_name(self, candidate: Candidate) -> Match | NoMatch:
        stem = same_name(file_stem(candidate.name))
        if candidate.names_image:
            file_name = same_name(PurePosixPath(candidate.name.replace("\\", "/")).name)
            found = self._names.of_file(file_name)
            if found:
                what = f"name {file_name!r}"
                return self._choose(Found(found, "image name"), what, candidate.name)
        for reading, part in self._readings(stem, candidate.name):
            if reading.scans:
                chosen = self._choose(reading, f"name {stem!r}", candidate.name)
                part = None if candidate.names_image else part
                if isinstance(chosen, Match) and chosen.part != part:
                    return replace(chosen, part=part)
                return chosen
        return self._nothing(f"file name {stem!r}", stem, *folders(candidate.name)[:2])

    def _readings(self, stem: str, name: str) -> Iterator[tuple[Found, Part | None]]:
        """Scans by increasingly loose interpretations of a name; the first result decides."""
        above = name.replace("\\", "/").rpartition("/")[0]
        for found in self._names.plain(stem):
            yield found, self._part_of_folder(above, stem) or self._first_of_many(above, stem)
        for uid in self._names.series_in(stem):
            scans = set(self._uid_table().get(uid, ()))
            yield Found(scans, "series UID in its name"), self._part_of_folder(above, uid)
        label = bids_label(stem)
        if label is not None and (class_name := self._classes.named(label)):
            part = Part(
                "class", f"{above}/{stem.replace(label, '*')}", class_name, class_name, True
            )
            yield self._names.loose(stem, name), part
        many = numbered(stem)
        if many is not None:
            for found in self._names.plain(many[0]):
                yield found, Part("number", f"{above}/{many[0]}", many[1])
        yield from self._by_class_word(stem, above)
        yield from self._by_side(stem, above)
        yield self._names.series_folder(stem), None
        yield self._names.loose(stem, name), self._part_of_folder(above, stem)

    def _by_class_word(self, stem: str, above: str) -> Iterator[tuple[Found, Part | None]]:
        """One file per class: ``case_liver`` or ``case/liver``."""
        parent, _, folder = above.rpartition("/")
        of_folder = self._classes.named(folder) if folder else None
        for rest, class_name in self._classes.ending(stem):
            whole = f"{parent}/*/{rest}" if class_name == of_folder else f"{above}/{rest}"
            part = Part("class", whole, class_name, class_name)
            for found in (*self._names.plain(rest), self._names.series_folder(rest)):
                yield found, part
        for rest, class_name, side in self._classes.ending_of_one_side(stem):
            part = Part("class", f"{above}/{rest}", f"{class_name} {side}", class_name)
            for found in self._names.plain(rest):
                yield found, part
        alone, name = self._named(stem)
        if alone is not None:
            part = Part("class", above, name, alone, True)
            yield self._by_uid_of_folder(above), part
            yield self._names.by_folders(above), part
        elif is_general(stem):
            yield self._by_uid_of_folder(above), None

    def _named(self, word: str) -> tuple[str | None, str]:
        """The class that a word states, and the class with its side, to tell its files apart."""
        whole = self._classes.named(word)
        if whole is not None:
            return whole, whole
        one = self._classes.of_one_side(word)
        return (one[0], " ".join(one)) if one is not None else (None, "")

    def _by_uid_of_folder(self, above: str) -> Found:
        """The scan whose series UID is the name of the innermost folder that says anything."""
        how = "series UID of its folder"
        for folder in folders(f"{above}/x"):
            if is_general(folder):
                continue
            uids = self._names.series_in(folder)
            scans = [set(self._uid_table().get(uid, ())) for uid in uids]
            return Found(set.union(*scans) if scans else set(), how)
        return Found(set(), how)

    def _by_side(self, stem: str, above: str) -> Iterator[tuple[Found, Part | None]]:
        """One file per side: ``case_left`` and ``case_right``."""
        side = sided(stem) or sided(SUFFIX.sub("", stem))
        if side is not None:
            parent, _, folder = above.rpartition("/")
            apart = f"{parent}/*" if side_of(folder) == side[1] else above
            part = self._side(f"{apart}/{side[0]}", side[1], side[1])
            if part is not None:
                for found in self._names.plain(side[0]):
                    yield found, part

    def _part_of_folder(self, above: str, stem: str) -> Part | None:
        """The part given by the folder: ``liver/case.nii.gz``, ``leftMask/case.png``."""
        parent, _, folder = above.rpartition("/")
        if not folder:
            return None
        class_name, _ = self._named(folder)
        if class_name is not None:
            return Part("class", f"{parent}/*/{stem}", folder, class_name)
        side = side_of(folder)
        return self._side(f"{parent}/*/{stem}", side, folder) if side is not None else None

    def _side(self, whole: str, side: str, name: str) -> Part | None:
        """The part for a side; if class names contain sides, the class of this side."""
        has_sides, class_name = self._classes.of_side(side)
        if not has_sides:
            return Part("side", whole, name)
        return Part("class", whole, name, class_name) if class_name is not None else None

    def _first_of_many(self, above: str, stem: str) -> Part | None:
        """The part for ``case_mask``, next to which there may be ``case_mask_1``."""
        with_number = numbered(f"{stem}_1")
        return Part("number", f"{above}/{stem}", "") if with_number is not None else None

    def _choose(self, reading: Found, what: str, name: str) -> Match | NoMatch:
        found = reading.scans
        if len(found) == 1:
            return Match(next(iter(found)), reading.how)
        nearest = self._by_folder(found, name)
        if nearest is not None:
            return Match(nearest, f"{reading.how} and folder")
        return _ambiguous(
            f"the {what}",
            found,
            "Name the mask by its scan id and use --match '{scan_id}', "
            "or keep the images' folders.",
        )

    def _by_folder(self, found: set[str], name: str) -> str | None:
        """The only scan whose image is in folders of the same names, innermost first."""
        mine = folders(name)
        depth: Mapping[str, int] = {
            scan_id: max(
                (_common(mine, folders(n)) for n in self._targets[scan_id].names),
                default=0,
            )
            for scan_id in found
        }
        best = max(depth.values())
        winners = [scan_id for scan_id, value in depth.items() if value == best]
        return winners[0] if best > 0 and len(winners) == 1 else None

    def _nothing(self, what: str, *looked_for: str) -> NoMatch:
        near = self._names.nearest(*looked_for)
        first = ", ".join(repr(scan_id) for scan_id in near or self._names.first())
        known = f"; {'nearest' if near else 'the first scans'}: {first}" if first else ""
        return NoMatch(
            "unmatched",
            f"no scan of the project has the {what}{known}",
            "Index its image, rename the mask, say how masks are named with "
            f"--match '{_template(looked_for, near)}', or name its scan: "
            "labels accept NUMBER --scan SCAN.",
            near,
        )


def _template(looked_for: Sequence[str], near: Sequence[str]) -> str:
    """How the mask is named by a scan that its name begins or ends with; else an example."""
    for name, scan_id in product(looked_for, near):
        stem = scan_id.rpartition("/")[2]
        if name != stem and name.startswith(stem):
            return f"{{stem}}{name.removeprefix(stem)}"
        if name != stem and name.endswith(stem):
            return f"{name.removesuffix(stem)}{{stem}}"
    return "{stem}_suffix"


def _way_back(stack: SliceStack) -> tuple[object, ...]:
    return stack.scan_id, stack.shape, stack.view, tuple(sorted(stack.indices.items()))


def _common(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _other_class(word: str) -> NoMatch:
    return NoMatch("other-class", f"the project has no class {word!r}")


def _ambiguous(what: str, found: set[str], remedy: str) -> NoMatch:
    names = sorted(found)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(repr(name) for name in names[:_SHOWN]) + more
    return NoMatch(
        "ambiguous", f"{what} fits {len(names)} scans: {listed}", remedy, tuple(names[:_SHOWN])
    )
