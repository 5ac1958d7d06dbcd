"""Legible colours on any background: contrast, blending, and a scale from low to high."""

from __future__ import annotations

from functools import lru_cache

Rgb = tuple[int, int, int]

CONTRAST = 3.0
"""What graphics need at least (WCAG 2.1, 1.4.11)."""
VIRIDIS = (
    "#440154",
    "#482878",
    "#3e4989",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)
"""A scale that is even for the eye, also one that sees fewer colours (Smith and van der Walt)."""


def rgb(colour: str) -> Rgb:
    """The channels of ``#56B4E9`` as numbers."""
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return red, green, blue


def blend(colour: Rgb, towards: Rgb, share: float) -> Rgb:
    """Blend two colours: ``share`` 0 is ``colour``, 1 is ``towards``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, towards, strict=True))
    return red, green, blue


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.1)."""
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(colour: Rgb) -> tuple[float, float, float]:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in colour)
    )
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> float:
    """Contrast ratio, 1 to 21 (WCAG 2.1)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(256)
def legible(colour: str, background: Rgb, least: float = CONTRAST) -> Rgb:
    """``colour``, lightened or darkened until it stands out from ``background``."""
    wanted = rgb(colour)
    end = (255, 255, 255) if luminance(background) < 0.18 else (0, 0, 0)
    for step in range(21):
        found = blend(wanted, end, step / 20)
        if contrast(found, background) >= least:
            return found
    return end


CUBE = (0, 95, 135, 175, 215, 255)


@lru_cache(512)
def nearest_of_256(colour: Rgb) -> int:
    """The number of the most similar of the 240 fixed colours of a terminal with 256.

    Compared in Oklab (Ottosson, 2020), hue before lightness: rounding each channel by itself
    turns an orange that gets darker into a yellow.
    """
    return 16 + min(range(240), key=lambda n: _unlike(_fixed_oklab()[n], _oklab(colour)))


@lru_cache(1)
def _fixed_oklab() -> tuple[tuple[float, float, float], ...]:
    """The 6 × 6 × 6 colours, then the greys, in Oklab."""
    cube = [_oklab((red, green, blue)) for red in CUBE for green in CUBE for blue in CUBE]
    return (*cube, *(_oklab((grey, grey, grey)) for grey in range(8, 248, 10)))


def _unlike(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    light, green_red, blue_yellow = (a - b for a, b in zip(one, other, strict=True))
    return light**2 / 4 + green_red**2 + blue_yellow**2


def _oklab(colour: Rgb) -> tuple[float, float, float]:
    red, green, blue = _linear(colour)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def scale(steps: int, dark: bool) -> tuple[str, ...]:
    """``steps`` colours from low to high, without those that would not show on the background."""
    low, high = (0.22, 1.0) if dark else (0.0, 0.82)
    found = []
    for n in range(steps):
        place = (low + (high - low) * n / max(1, steps - 1)) * (len(VIRIDIS) - 1)
        base = min(int(place), len(VIRIDIS) - 2)
        mixed = blend(rgb(VIRIDIS[base]), rgb(VIRIDIS[base + 1]), place - base)
        found.append("#{:02x}{:02x}{:02x}".format(*mixed))
    return tuple(found)
