"""A TIFF whose pages name each other as the next one is refused; an ordinary one is read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from coldal_tui.errors import ImageError
from coldal_tui.imaging.readers.tiff import read_header


@pytest.mark.parametrize("big", [False, True])
def test_pages_in_a_circle_are_refused(big: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    pixels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    tifffile.imwrite(path, pixels, bigtiff=big, photometric="minisblack", metadata=None)
    assert read_header(path).shape == (5, 4, 3)
    data = bytearray(path.read_bytes())
    count, entry, place, at = ("<Q", 20, "<Q", 8) if big else ("<H", 12, "<I", 4)
    first = at = struct.unpack_from(place, data, at)[0]
    while True:
        following = at + struct.calcsize(count) + struct.unpack_from(count, data, at)[0] * entry
        (at,) = struct.unpack_from(place, data, following)
        if at == 0:
            break
    struct.pack_into(place, data, following, first)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="circle"):
        read_header(path)
