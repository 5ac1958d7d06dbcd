"""A mask format: binary PGM of 8 bits (P5), whose grey values are the class numbers."""

import re

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels

HEADER = re.compile(rb"P5\s+(\d{1,5})\s+(\d{1,5})\s+(\d{1,3})\s")


class Importer:
    name, priority, endings = "pgm", 0, {".pgm": "PGM"}

    def recognise(self, path, head):
        return "PGM" if HEADER.match(head) else None

    def belongings(self, path):
        return frozenset()

    def candidates(self, path):
        def load():
            head = HEADER.match(content := path.read_bytes())
            if head is None or len(content) - head.end() != int(head[1]) * int(head[2]):
                raise ImageError("no whole 8-bit PGM", where=str(path), code="truncated")
            pixels = np.frombuffer(content[head.end() :], np.uint8)
            return MaskPixels(pixels.reshape(int(head[2]), int(head[1])), "rows")

        yield Candidate(path, path.name, "pgm", load)
