"""Class colours for other programs: the Okabe-Ito palette, then further hues."""

from __future__ import annotations

import colorsys

IGNORE_NAME = "ignore"
IGNORE_RGB = (128, 128, 128)
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_GOLDEN = 0.618033988749895
"""Steps of the golden ratio around the colour circle never repeat a hue."""


def class_rgb(value: int) -> tuple[int, int, int]:
    """The colour of class ``value`` (1, 2, …), 0 to 255 per channel."""
    if value <= len(_OKABE_ITO):
        return _OKABE_ITO[value - 1]
    hue = (value * _GOLDEN) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_hex(value: int) -> str:
    """The same as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*class_rgb(value))
