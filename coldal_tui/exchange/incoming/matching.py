"""Which scan a mask belongs to: by UID, our manifest, scan id, then file name; never by guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.manifest import Manifest
from coldal_tui.exchange.names import file_stem, folders, same_name
from coldal_tui.exchange.slices import SliceStack

_CHANNEL = re.compile(r"_\d{4}$")
_SUFFIX = re.compile(
    r"[ _.-](?:mask|masks|seg|segmentation|label|labels|labelmap|annotation|gt|manual)$",
    re.IGNORECASE,
)
_SHOWN = 4


@dataclass(frozen=True)
class Match:
    """The scan a mask belongs to, how that is known, and who drew it where that is known.

    ``slices`` is the stack that its picture was cut from, where it is a slice of a volume.
    """

    scan_id: str
    how: str
    author: str | None = None
    slices: SliceStack | None = None


@dataclass(frozen=True)
class NoMatch:
    """Why a mask has no scan: ``unmatched``, ``ambiguous``, ``other-image``, ``template``."""

    code: str
    message: str
    remedy: str | None = None


@dataclass(frozen=True)
class Template:
    """``--match``: how mask names are made of scan names, such as ``{stem}_1stHO``.

    ``{stem}`` is the image's file name without its ending, ``{scan_id}`` the project's id. With
    slashes the template covers the last folders too: ``{stem}/mask``. ``{annotator}`` is who drew
    it: ``{stem}_{annotator}``.
    """

    field: str
    parts: tuple[str, ...]
    pattern: re.Pattern[str]

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template.

        Raises
        ------
        UsageError : not exactly one ``{stem}`` or ``{scan_id}``, or another field than
            one ``{annotator}``.
        """
        fields = re.findall(r"\{([^{}]*)\}", text)
        named = [field for field in fields if field in ("stem", "scan_id")]
        if len(named) != 1 or fields.count("annotator") + 1 != len(fields) or len(fields) > 2:
            raise UsageError(
                f"the template {text!r} needs exactly one {{stem}} or {{scan_id}}, "
                "and may have one {annotator}",
                remedy="For masks named like IMAGE_seg.png write --match '{stem}_seg'.",
                code="template",
            )
        whole = same_name(text.replace("\\", "/"))
        words = re.split(r"(\{[^{}]*\})", whole)
        pattern = "".join(
            f"(?P<{word[1:-1]}>[^/]+)" if word.startswith("{") else re.escape(word)
            for word in words
        )
        return Template(named[0], tuple(whole.split("/")), re.compile(pattern))

    def apply(self, name: str) -> tuple[str, str | None] | None:
        """The stem or scan id in a mask's name, and who drew it; None where it does not fit."""
        parts = PurePosixPath(same_name(name.replace("\\", "/"))).parts[-len(self.parts) :]
        if len(parts) < len(self.parts):
            return None
        # The template may name the ending or leave it out.
        for last in (file_stem(parts[-1]), parts[-1]):
            found = self.pattern.fullmatch("/".join((*parts[:-1], last)))
            if found:
                named = found.groupdict()
                return named[self.field], named.get("annotator")
        return None


class Matcher:
    """Matches masks to scans. Build once per import; every look-up is a dictionary's."""

    def __init__(self, targets: Iterable[ScanTarget], template: str | None = None) -> None:
        self._targets: dict[str, ScanTarget] = {}
        self._uids: dict[str, tuple[str, ...]] | None = None
        self._files: dict[str, set[str]] = {}
        self._stems: dict[str, set[str]] = {}
        self._aliases: dict[str, set[str]] = {}
        self._folded: dict[str, set[str]] = {}
        self._template = Template.parse(template) if template else None
        for target in targets:
            self._add(target)

    def _add(self, target: ScanTarget) -> None:
        scan_id = target.scan_id
        self._targets[scan_id] = target
        for name in target.names:
            stem = same_name(file_stem(name))
            file_name = same_name(PurePosixPath(name.replace("\\", "/")).name)
            self._files.setdefault(file_name, set()).add(scan_id)
            self._stems.setdefault(stem, set()).add(scan_id)
            self._folded.setdefault(stem.casefold(), set()).add(scan_id)
            if _CHANNEL.search(stem):
                self._aliases.setdefault(_CHANNEL.sub("", stem), set()).add(scan_id)
        self._folded.setdefault(same_name(scan_id).casefold(), set()).add(scan_id)

    def target(self, scan_id: str) -> ScanTarget:
        """The scan of a match."""
        return self._targets[scan_id]

    def match(self, candidate: Candidate, manifest: Manifest | None = None) -> Match | NoMatch:
        """The scan of a mask, or why there is none."""
        by_uid = self._by_uid(candidate.uids)
        if by_uid is not None:
            return by_uid
        if candidate.scan_id is not None and candidate.scan_id in self._targets:
            return Match(candidate.scan_id, "scan id in the file")
        if self._template is not None:
            return self._by_template(self._template, candidate.name, manifest)
        stem = file_stem(candidate.name)
        return self._by_manifest(stem, manifest) or self._unless_foreign(
            self._by_name(candidate), candidate.uids
        )

    def _by_uid(self, uids: Sequence[str]) -> Match | NoMatch | None:
        """The scan that all known UIDs have: several scans may share a series, not an instance."""
        if not uids:
            return None
        if self._uids is None:
            self._uids = self._uid_table()
        known = [set(self._uids[uid]) for uid in uids if uid in self._uids]
        if not known:
            return None
        found = set.intersection(*known) or set.union(*known)
        if len(found) == 1:
            return Match(found.pop(), "UID")
        return _ambiguous("its UIDs", found, "Export the mask of one series at a time.")

    def _uid_table(self) -> dict[str, tuple[str, ...]]:
        """Scans by UID; made when the first mask with UIDs comes, for a CT has one per slice."""
        table: dict[str, tuple[str, ...]] = {}
        for target in self._targets.values():
            alone = (target.scan_id,)
            for uid in dict.fromkeys((*target.uids, *target.renamed)):
                table[uid] = table[uid] + alone if uid in table else alone
        return table

    def _unless_foreign(self, found: Match | NoMatch, uids: Sequence[str]) -> Match | NoMatch:
        """A mask that names its series never goes to another one because of a file name."""
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
        )

    def _by_template(
        self, template: Template, name: str, manifest: Manifest | None
    ) -> Match | NoMatch:
        fields = template.apply(name)
        if fields is None:
            text = "/".join(template.parts)
            return NoMatch("template", f"its name does not fit --match {text!r}")
        key, author = fields
        if manifest is not None and manifest.slice_for(key):
            cut = self._by_manifest(key, manifest)
            if isinstance(cut, Match):
                return replace(cut, author=author or cut.author)
        if template.field == "scan_id":
            if key in self._targets:
                return Match(key, "--match", author)
            return _nothing(f"scan id {key!r}")
        for table, look in ((self._stems, key), (self._aliases, key)):
            found = table.get(look, set())
            if found:
                chosen = self._choose(key, found, name, "--match")
                return replace(chosen, author=author) if isinstance(chosen, Match) else chosen
        return _nothing(f"file name {key!r}")

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
            )
        return Match(scan_id, "manifest", entry.assignee, manifest.slice_for(stem))

    def _exported_as(self, name: str, manifest: Manifest) -> str | None:
        """The scan that a manifest calls ``name``; its pseudonym is among the scan's names."""
        if not manifest.deidentified:
            return name if name in self._targets else None
        found = self._stems.get(same_name(name), set())
        return next(iter(found)) if len(found) == 1 else None

    def _by_name(self, candidate: Candidate) -> Match | NoMatch:
        stem = same_name(file_stem(candidate.name))
        if candidate.names_image:
            file_name = same_name(PurePosixPath(candidate.name).name)
            found = self._files.get(file_name, set())
            if found:
                return self._choose(file_name, found, candidate.name, "image name")
        for found, how in self._levels(stem):
            if found:
                return self._choose(stem, found, candidate.name, how)
        return _nothing(f"file name {stem!r}")

    def _levels(self, stem: str) -> Iterable[tuple[set[str], str]]:
        """Scans by ever looser readings of a name; the first that finds any decides."""
        exact = {stem} & self._targets.keys()
        yield exact | self._stems.get(stem, set()), "scan id" if exact else "file name"
        # case_0000.nii.gz is the image, case.nii.gz its mask; photo.jpg.png the mask of photo.jpg
        yield self._aliases.get(stem, set()), "file name without its channel number"
        yield self._files.get(stem, set()), "full image name"
        yield self._folded.get(stem.casefold(), set()), "file name, other upper and lower case"
        short = _SUFFIX.sub("", stem)
        if short != stem:
            how = f"file name without {stem[len(short) :]!r}"
            yield {short} & self._targets.keys() | self._stems.get(short, set()), how
            yield self._aliases.get(short, set()), how
            yield self._folded.get(short.casefold(), set()), how

    def _choose(self, key: str, found: set[str], name: str, how: str) -> Match | NoMatch:
        if len(found) == 1:
            return Match(next(iter(found)), how)
        nearest = self._by_folder(found, name)
        if nearest is not None:
            return Match(nearest, f"{how} and folder")
        return _ambiguous(
            f"the name {key!r}",
            found,
            "Name the mask by its scan id and use --match '{scan_id}', "
            "or keep the images' folders.",
        )

    def _by_folder(self, found: set[str], name: str) -> str | None:
        """The one scan whose image lies in folders of the same names, innermost first."""
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


def _common(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _nothing(what: str) -> NoMatch:
    return NoMatch(
        "unmatched",
        f"no scan of the project has the {what}",
        "Index its image, rename the mask, or say how masks are named with "
        "--match '{stem}_suffix'.",
    )


def _ambiguous(what: str, found: set[str], remedy: str) -> NoMatch:
    names = sorted(found)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(repr(name) for name in names[:_SHOWN]) + more
    return NoMatch("ambiguous", f"{what} fits {len(names)} scans: {listed}", remedy)
