"""Runs one import: walk, recognise, match, decide; gives a verdict for every file."""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, PassedOver, ScanTarget
from coldal_tui.exchange.importers import Importer, load_registry
from coldal_tui.exchange.incoming.claim import Claim, Rules
from coldal_tui.exchange.incoming.class_values import check_classes
from coldal_tui.exchange.incoming.decide_scan import (
    IMAGE_ITSELF,
    decide_claim,
    failed,
    ignored,
    settle,
)
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.mask_parts import joined_parts, with_class
from coldal_tui.exchange.incoming.names.matching import SAID, SURE, Match, Matcher, NoMatch, Part
from coldal_tui.exchange.incoming.names.name_readings import ClassWords
from coldal_tui.exchange.incoming.names.other_classes import OtherClasses
from coldal_tui.exchange.incoming.own_files import (
    EXPORTED_IMAGE,
    OVER_PICTURE,
    Digests,
    KnownExports,
    OwnFiles,
    SeenLabels,
)
from coldal_tui.exchange.incoming.prefetch import decoded, read_small
from coldal_tui.exchange.incoming.renamed import RenamedPictures
from coldal_tui.exchange.incoming.slice_masks import joined
from coldal_tui.exchange.incoming.survey import UNKNOWN_FORMAT, Survey, survey_source
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.manifest import Manifest
from coldal_tui.exchange.names import file_stem, person_key

__all__ = ["ImportOptions", "Verdict", "examine", "examine_file"]

Progress = Callable[[int, int, str], None]
"""Called with the number of masks done, the total, and the current file."""

Finish = Callable[[Verdict], Verdict]
"""Called with each verdict in the thread that made it, which may be another one."""

_REUSED = 16 << 20
_BATCH = 1 << 22
"""Pixels that a thread processes before it returns its verdicts."""

_TURN_S = 5e-4
"""Interval in seconds after which a waiting thread requests the GIL; Python's default is 5 ms."""

_Batch = list[tuple[ScanTarget, list[Claim]]]

_LARGE = 1 << 24
"""Pixels of a scan above which its masks are processed one by one, to limit memory."""


def examine(
    source: Path,
    targets: Sequence[ScanTarget],
    classes: Sequence[str],
    ignore_value: int | None,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
    survey: Survey | None = None,
    only: Collection[Path] | None = None,
    finish: Finish | None = None,
    threads: int = 1,
    unpacked: Mapping[Path, Path] | None = None,
    exports: KnownExports | None = None,
) -> Iterator[Verdict]:
    """Decide on every mask in a source, scan by scan, so that few labels are in memory.

    Verdicts of accepted masks carry their label. A file that can't be read gets its verdict like
    any other and never stops the import. The order is the same for any number of threads.

    Parameters
    ----------
    source : a mask file, or a folder that is walked.
    format : an importer's name, or ``auto``.
    match : the naming pattern of masks, such as ``{stem}_seg``.
    survey : the source's survey, if the caller has it already.
    only : decide only on these files; the others are used only if these need them.
    finish : receives each verdict with its label and returns it, preferably without the label;
        called in the thread that decided.
    threads : number of scans processed in parallel.
    unpacked : folders of the source (or ``source`` itself) with unpacked archives, mapped to the
        archives' paths.
    exports : the project's known exports, from which masks come back.

    Raises
    ------
    UsageError : before the first verdict: the source is missing, or the format, template, class
        list, ignore value or value map is wrong.
    """
    check_classes(classes, ignore_value)
    options, exports = options or ImportOptions(), exports or KnownExports()
    words = ClassWords(classes, options.values)
    matcher = Matcher(targets, match, words, exports.handed_out)
    if survey is None:
        survey = survey_source(source, load_registry().select(format))
    digests = Digests()
    run = _Import(
        survey if only is None else survey.limited(only),
        matcher,
        OwnFiles(source, targets, digests, unpacked or {}, exports),
        Rules(classes, ignore_value, options),
        digests,
        finish or _as_it_is,
        RenamedPictures(targets),
        source,
        {target.scan_id: target.people for target in targets if target.people},
    )
    return run.verdicts(progress or _silent, threads)


def examine_file(
    path: Path,
    target: ScanTarget,
    classes: Sequence[str],
    ignore_value: int | None,
    options: ImportOptions | None = None,
    *,
    key: str = "",
    format: str = "auto",
    class_name: str = "",
    author: str | None = None,
) -> Verdict:
    """Decide again on one mask for a known scan: a corrected or confirmed one from quarantine.

    ``key`` identifies the mask in a file of many, ``class_name`` is the single class from its name,
    ``author`` its author.

    Raises
    ------
    UsageError : the file is missing or not a mask, holds several masks and ``key`` matches none, or
        the format is unknown.
    """
    check_classes(classes, ignore_value)
    survey = survey_source(path, load_registry().select(format))
    rules = Rules(classes, ignore_value, options or ImportOptions())
    part = Part("class", "", class_name, class_name, True) if class_name in classes else None
    match = Match(target.scan_id, "named by the user", part=part)
    found = [
        Claim(mask, match, importer.name)
        for file, importer in survey.files
        for mask in importer.candidates(file)
        if isinstance(mask, Candidate)
    ]
    chosen = [claim for claim in found if claim.candidate.key == key] if key else found
    if len(chosen) != 1:
        named = f" of the name {key!r}" if key else ""
        raise UsageError(
            f"it holds {len(chosen)} masks{named}; one was expected",
            where=str(path),
            remedy="Import the whole file again." if key else None,
            code="not-one-mask",
        )
    (claim,) = chosen
    mask = with_class(claim.candidate, part, rules) if part else claim.candidate
    mask = replace(mask, author=author or mask.author)
    return decide_claim(replace(claim, candidate=mask), target, rules, Digests())


def _silent(done: int, total: int, message: str) -> None:
    """Progress callback that does nothing."""


def _let_memory_be_reused() -> None:
    """Allocate and free one large block, so that the C library keeps freed memory for reuse.

    From then on it keeps freed blocks up to that size. Otherwise every mask's arrays are returned
    to the system and requested again page by page, which takes half as long as
    decoding (mallopt(3), dynamic mmap threshold).
    """
    np.empty(_REUSED, dtype=np.uint8)


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """The garbage collector looks at new objects only.

    Else it goes through all modules and scans again and again as verdicts are added, which takes a
    tenth of an import's time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _short_turns() -> Iterator[None]:
    """Shorten the thread switch interval: threads that decode faster than it would mostly wait."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _as_it_is(verdict: Verdict) -> Verdict:
    return verdict


def _author(candidate: Candidate, found: Match, manifest: Manifest | None) -> str | None:
    """The author: as the user stated, else the export's assignee, else from the file."""
    if found.how in SAID:
        return found.author or candidate.author
    person = manifest.person if manifest else None
    if found.how == "manifest":
        return person or found.author or candidate.author
    return person or candidate.author or found.author


def _minutes(candidate: Candidate, found: Match, manifest: Manifest | None) -> float | None:
    """How long the mask took: from its file, else from the manifest that came back with it.

    Those in a manifest are of the whole scan, also where this is one slice of it.
    """
    if candidate.minutes is not None or manifest is None:
        return candidate.minutes
    entries = [entry for entry in manifest.entries if entry.scan_id == found.scan_id]
    entry = entries[0] if len(entries) == 1 else manifest.entry_for(file_stem(candidate.name))
    return entry.minutes if entry is not None else None


def _of_other_classes(claims: dict[str, list[Claim]], others: OtherClasses) -> Iterator[Verdict]:
    """Verdicts on files whose folder names a class the project lacks; they match no scan."""
    for scan_id, group in list(claims.items()):
        kept: list[Claim] = []
        for claim in group:
            file = claim.candidate.file
            own = claim.candidate.names_image or claim.candidate.key or claim.match.how in SURE
            why = None if own else others.matched(file, claim.match.part)
            if why is None:
                kept.append(claim)
            else:
                yield ignored(file, why, claim.candidate.key)
        if kept:
            claims[scan_id] = kept
        else:
            del claims[scan_id]


@dataclass(frozen=True)
class _Import:
    """The state of one import."""

    survey: Survey
    matcher: Matcher
    own: OwnFiles
    rules: Rules
    digests: Digests
    finish: Finish
    renamed: RenamedPictures
    source: Path
    people: Mapping[str, Sequence[str]]

    def verdicts(self, progress: Progress, threads: int) -> Iterator[Verdict]:
        _let_memory_be_reused()
        with _old_objects_left_alone():
            yield from self._verdicts(progress, threads)

    def _verdicts(self, progress: Progress, threads: int) -> Iterator[Verdict]:
        over = dict(self._over_pictures())
        claims: dict[str, list[Claim]] = {}
        others = OtherClasses(self.source)
        unclaimed = self._all_claims(over, claims, others)
        read_with = {
            part: one.candidate.file
            for group in claims.values()
            for one in group
            for part in one.candidate.parts
        }
        for left_out in self.survey.ignored:
            if left_out.path not in over:
                user = read_with.get(left_out.path)
                reason = left_out.reason if user is None else f"read with {user.name}"
                if reason == UNKNOWN_FORMAT and self.own.is_exported_image(left_out.path):
                    reason = EXPORTED_IMAGE  # slices of a DICOM series: no importer knows them
                yield self.finish(ignored(left_out.path, reason))
        for verdict in unclaimed:
            why = others.unmatched(verdict.file) if verdict.status == "unmatched" else None
            yield self.finish(ignored(verdict.file, why, verdict.key) if why else verdict)
        for verdict in _of_other_classes(claims, others):
            yield self.finish(verdict)
        seen = SeenLabels()
        total = sum(len(group) for group in claims.values())
        done = 0
        for settled in self._settle_all(claims, threads):
            for verdict in settled:
                done += 1
                progress(min(done, total), total, verdict.shown)
                yield seen.check(verdict)

    def _over_pictures(self) -> Iterator[tuple[Path, Importer]]:
        """Pictures of other files, such as a COCO file's, that a mask has replaced."""
        for file, importer in self.survey.parts:
            with suppress(OSError):
                if self.own.reason(file) is None and self.own.lies_over_picture(file):
                    yield file, importer

    def _all_claims(
        self,
        over: Mapping[Path, Importer],
        claims: dict[str, list[Claim]],
        others: OtherClasses,
    ) -> list[Verdict]:
        """Match all files; unmatched ones are known after all names have been seen."""
        verdicts: list[Verdict] = []
        for file, importer in (*self.survey.files, *over.items()):
            verdicts += self._claim_file(file, importer, claims)
        for group in claims.values():
            for claim in group:
                if claim.match.how not in SAID:
                    others.learn(claim.candidate.file, claim.match.part)
        return verdicts

    def _claim_file(
        self, file: Path, importer: Importer, claims: dict[str, list[Claim]]
    ) -> Iterator[Verdict]:
        """Match a file's masks to scans; gives verdicts for unmatched ones."""
        try:
            reason = self.own.reason(file)
            if reason is not None:
                yield ignored(file, reason)
                return
            found: Candidate | PassedOver | None = None
            for found in importer.candidates(file):
                if isinstance(found, PassedOver):
                    yield ignored(found.file, found.reason, found.key)
                    continue
                verdict = self._claim(found, importer, claims)
                if verdict is not None:
                    yield verdict
            if found is None:
                yield ignored(file, "it lists no mask")
        except Exception as error:  # one bad file never stops a batch
            yield replace(failed(file, error, self.digests), format=importer.name)

    def _of_folder(self, file: Path, people: Sequence[str]) -> str | None:
        """The person of ``people`` whose name a folder of the source has, the innermost first."""
        if not people or not file.is_relative_to(self.source):
            return None
        known = {person_key(name): name for name in people}
        inside = file.relative_to(self.source.parent).parent.parts if self.source.is_dir() else ()
        return next((known[key] for key in map(person_key, reversed(inside)) if key in known), None)

    def _claim(
        self, candidate: Candidate, importer: Importer, claims: dict[str, list[Claim]]
    ) -> Verdict | None:
        file = candidate.file
        manifest = self.own.covering(file)
        found = self.matcher.match(candidate, manifest)
        if isinstance(found, NoMatch) and found.code == "unmatched" and candidate.other_names:
            found = self._match_renamed(candidate, manifest) or found
        if isinstance(found, Match):
            author = (
                _author(candidate, found, manifest)
                or self._of_folder(file, self.people.get(found.scan_id, ()))
                or self.rules.options.by
                or None
            )
            minutes = _minutes(candidate, found, manifest)
            if (author, minutes) != (candidate.author, candidate.minutes):
                candidate = replace(
                    candidate,
                    author=author,
                    minutes=minutes,
                    minutes_from="file" if candidate.minutes is not None else "manifest",
                )
            if manifest is not None and manifest.classes:
                candidate = replace(candidate, exported=manifest.classes)
            warnings: tuple[str, ...] = ()
            if self.own.lies_over_picture(file):
                # It may also be the image, saved again: another mask of the scan replaces it.
                warnings = (OVER_PICTURE,)
                candidate = replace(candidate, weak=candidate.weak or OVER_PICTURE)
            claim = Claim(candidate, found, importer.name, warnings)
            claims.setdefault(found.scan_id, []).append(claim)
            return None
        if found.code in ("template", "other-class"):
            return ignored(file, found.message, candidate.key)
        digest = self.digests.of(file)
        if self.own.is_image(digest):
            return ignored(file, IMAGE_ITSELF)
        if candidate.weak:
            return ignored(file, f"{candidate.weak}, and no scan has its name", candidate.key)
        return Verdict(
            "unmatched",
            file,
            digest,
            None,
            found.code,
            found.message,
            found.remedy,
            key=candidate.key,
            format=importer.name,
            author=candidate.author or (manifest.person if manifest else None),
            parts=candidate.parts,
            nearest=found.nearest,
        )

    def _match_renamed(self, candidate: Candidate, manifest: Manifest | None) -> Match | None:
        """Match a picture that its tool renamed, by its possible earlier names."""
        for name in candidate.other_names:
            found = self.matcher.match(replace(candidate, name=name), manifest)
            if isinstance(found, Match):
                return replace(found, how=f"{found.how}, as its tool renamed it")
        scan_id = self.renamed.find(candidate.other_names)
        return Match(scan_id, "image name, as its tool renamed it") if scan_id else None

    def _settle_all(self, claims: dict[str, list[Claim]], threads: int) -> Iterator[list[Verdict]]:
        """Yield the finished verdicts of all scans, in the scans' order."""
        if threads <= 1:
            # One after the other: what was just decoded is still in the processor's cache.
            for batch in self._batches(claims):
                for target, group in batch:
                    data = read_small(group, self.digests) if len(batch) > 1 else None
                    yield self._settle(target, decoded(group, data))
            return
        large, turn = threading.Lock(), threading.Lock()

        def work(batch: _Batch) -> list[list[Verdict]]:
            if len(batch) > 1:
                return self._settle_small(batch, turn)
            crowded = any(prod(target.shape) > _LARGE for target, _ in batch)
            with large if crowded else nullcontext():
                return [self._settle(target, group) for target, group in batch]

        waiting: deque[Future[list[list[Verdict]]]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="import")
        try:
            with _short_turns():
                for batch in self._batches(claims):
                    waiting.append(pool.submit(work, batch))
                    if len(waiting) > 2 * threads:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _settle_small(self, batch: _Batch, turn: threading.Lock) -> list[list[Verdict]]:
        """Verdicts on small scans: one thread decides while other threads decode."""
        read = [read_small(group, self.digests) for _, group in batch]
        ready = [
            (target, decoded(group, data))
            for (target, group), data in zip(batch, read, strict=True)
        ]
        with turn:
            return [self._settle(target, group) for target, group in ready]

    def _batches(self, claims: dict[str, list[Claim]]) -> Iterator[_Batch]:
        """Scans with their claims; small ones in batches, to reduce waiting between threads."""
        batch: _Batch = []
        pixels = 0
        for scan_id, group in claims.items():
            target = self.matcher.target(scan_id)
            batch.append((target, group))
            pixels += prod(target.shape) * len(group)
            if pixels >= _BATCH:
                yield batch
                batch, pixels = [], 0
        if batch:
            yield batch

    def _settle(self, target: ScanTarget, group: Sequence[Claim]) -> list[Verdict]:
        empty = self.rules.options.confirm_empty
        whole = joined(group, target, self.digests, missing_is_empty=empty)
        whole = joined_parts(whole, target, self.rules, self.digests)
        settled = settle(whole, target, self.rules, self.digests)
        return [self.finish(one) for one in settled]
