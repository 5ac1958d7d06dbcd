"""Masks of one small file each, read and decoded before anything is decided on them.

Threads of one process take turns at whatever is not plain decoding; each hand-over costs as long
as a tenth of a small mask. So a thread reads a batch in its turn, decodes it beside the others,
and decides on it in its next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from coldal_tui.exchange.candidate import MaskPixels
from coldal_tui.exchange.incoming.claim import Claim
from coldal_tui.exchange.incoming.own_files import Digests


def read_small(group: Sequence[Claim], digests: Digests) -> bytes | None:
    """The bytes of the one mask that claims a scan; None where it is decoded in its own way."""
    if len(group) != 1 or group[0].candidate.decode is None:
        return None
    return digests.read_small(group[0].candidate.file)


def decoded(group: Sequence[Claim], data: bytes | None) -> Sequence[Claim]:
    """The claims, of which the one that was read holds its pixels, or what is wrong with them."""
    if data is None:
        return group
    claim = group[0]
    decode = claim.candidate.decode
    if decode is None:
        return group
    try:
        pixels = decode(data)
    except Exception as error:  # told by the decision, as every failure of a file
        return [_loading(claim, error)]
    return [_loading(claim, pixels)]


def _loading(claim: Claim, found: MaskPixels | Exception) -> Claim:
    def load() -> MaskPixels:
        if isinstance(found, Exception):
            raise found
        return found

    return replace(claim, candidate=replace(claim.candidate, load=load))
