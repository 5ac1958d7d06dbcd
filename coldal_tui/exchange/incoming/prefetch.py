"""Reads and decodes small masks in parallel before they are decided on.

Threads share Python's lock for everything except decoding, and each switch costs a tenth of the
time of a small mask. So a thread reads a batch with the lock, decodes it in parallel, and decides
on it with the lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.exchange.candidate import MaskPixels
from coldal_tui.exchange.incoming.claim import Claim
from coldal_tui.exchange.incoming.own_files import Digests
from coldal_tui.exchange.quick_copy import changed


def read_small(group: Sequence[Claim], digests: Digests) -> bytes | None:
    """The bytes of the only mask of a scan; None if it can't be decoded from bytes alone."""
    if len(group) != 1 or group[0].candidate.decode is None:
        return None
    return digests.read_small(group[0].candidate.file)


def decoded(group: Sequence[Claim], data: bytes | None) -> Sequence[Claim]:
    """The claims; the one that was read holds its pixels or its error."""
    if data is None:
        return group
    claim = group[0]
    decode = claim.candidate.decode
    if decode is None:
        return group
    try:
        pixels = decode(data)
    except Exception as error:  # reported in the decision, like every error of a file
        return [_loading(claim, error)]
    return [_loading(claim, pixels)]


def _loading(claim: Claim, found: MaskPixels | Exception) -> Claim:
    def load() -> MaskPixels:
        if isinstance(found, Exception):
            raise found
        return found

    return Claim(changed(claim.candidate, load=load), claim.match, claim.format, claim.warnings)
