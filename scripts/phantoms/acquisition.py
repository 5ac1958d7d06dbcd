"""Four ways of taking a chest picture: the standard view, bedside, a filmed film, a child.

Each way sets the pose, the tone curve, the blur, and what a machine or a person writes on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantoms.fields import Field, lettering, paste, smooth_noise, step
from phantoms.findings import random_findings
from phantoms.radiograph import Pose, cast_shadow
from phantoms.thorax import random_thorax

LUNG, IGNORE = 255, 127
OVERSAMPLING = 2


@dataclass(frozen=True)
class Style:
    """One way of taking pictures.

    ``size``: rows and columns, least and most; ``unit``: pixels per thorax unit, least and most;
    ``middle`` and ``latitude``: the tone curve (density at mid-grey, and its width); ``grain``:
    noise in grey levels of 255.
    """

    view: str
    size: tuple[tuple[int, int], tuple[int, int]]
    unit: tuple[float, float]
    turn: float
    yaw: float
    arms: float
    ill: float
    bedside: bool
    middle: float
    latitude: float
    blur: float
    grain: float


STYLES = {
    "standard": Style(
        "PA",
        ((264, 304), (264, 312)),
        (0.395, 0.435),
        1.8,
        0.03,
        0.1,
        0.40,
        False,
        0.82,
        0.46,
        0.45,
        2.0,
    ),
    "bedside": Style(
        "AP",
        ((256, 280), (288, 320)),
        (0.31, 0.36),
        7.0,
        0.09,
        0.9,
        0.75,
        True,
        0.80,
        0.66,
        1.25,
        2.6,
    ),
    "film": Style(
        "PA",
        ((300, 320), (256, 280)),
        (0.315, 0.355),
        3.5,
        0.03,
        0.2,
        0.50,
        False,
        0.86,
        0.46,
        0.9,
        3.2,
    ),
    "child": Style(
        "AP",
        ((272, 300), (256, 276)),
        (0.25, 0.29),
        3.5,
        0.04,
        0.0,
        0.45,
        False,
        0.76,
        0.28,
        0.5,
        1.6,
    ),
}


def take_picture(
    style_name: str, female: bool, anatomy_seed: list[int], scan_seed: list[int]
) -> tuple[Field, NDArray[np.uint8]]:
    """One picture and its mask.

    Returns grey values 0 to 255 (rows, columns) float64, and the mask uint8 of the same shape:
    255 lung, 127 ignore, 0 background.
    """
    style = STYLES[style_name]
    anatomy, scan = np.random.default_rng(anatomy_seed), np.random.default_rng(scan_seed)
    body = random_thorax(anatomy, child=style_name == "child", female=female)
    shape = int(scan.integers(*style.size[0])), int(scan.integers(*style.size[1]))
    fine = shape[0] * OVERSAMPLING, shape[1] * OVERSAMPLING
    pose = _random_pose(style, fine, scan)
    findings = random_findings(scan, ill=style.ill, bedside=style.bedside)
    shadow = cast_shadow(body, pose, findings, fine, anatomy, scan)
    density = shadow.density + 0.012 * smooth_noise(scan, fine, 0.25 * pose.unit)
    density = ndimage.gaussian_filter(density, style.blur * OVERSAMPLING)
    middle = style.middle + scan.normal(0, 0.025)
    latitude = style.latitude * scan.uniform(0.88, 1.15)
    grey = _shrink(255.0 * step(density - middle, 2.0 * latitude))
    lungs, ignore = _shrink(shadow.lungs) >= 0.5, _shrink(shadow.ignore) >= 0.5
    finish = {"standard": _standard, "bedside": _bedside, "film": _film, "child": _child}
    grey, covered, seen = finish[style_name](grey, scan)
    grey += style.grain * smooth_noise(scan, shape, 0.55) * (0.25 + 0.75 * seen)
    mask = np.where(lungs & seen, LUNG, 0).astype(np.uint8)
    mask[(ignore | covered) & ndimage.binary_dilation(lungs, iterations=6)] = IGNORE
    return np.clip(grey, 0.0, 255.0), mask


def _random_pose(style: Style, fine: tuple[int, int], rng: np.random.Generator) -> Pose:
    return Pose(
        unit=float(rng.uniform(*style.unit)) * fine[1],
        centre=(
            fine[1] * (0.5 + float(rng.normal(0, 0.012))),
            fine[0] * (0.49 + float(rng.normal(0, 0.012))),
        ),
        turn=float(rng.normal(0, style.turn)),
        yaw=float(rng.normal(0, style.yaw)),
        arms=style.arms,
    )


def _shrink(fine: Field) -> Field:
    rows, columns = fine.shape[0] // OVERSAMPLING, fine.shape[1] // OVERSAMPLING
    tiles = fine.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING)
    return np.asarray(tiles.mean(axis=(1, 3)), dtype=np.float64)


Finished = tuple[Field, NDArray[np.bool_], NDArray[np.bool_]]
"""Grey values, where lettering covers the anatomy, and where the film was exposed."""


def _nothing(grey: Field) -> NDArray[np.bool_]:
    return np.zeros(grey.shape, dtype=bool)


def _standard(grey: Field, rng: np.random.Generator) -> Finished:
    """Mild local contrast, as a digital system does it, and a small side marker."""
    grey = grey + 0.55 * (grey - ndimage.gaussian_filter(grey, 22)) - 4.0
    paste(grey, 235 * lettering("L", 13), int(rng.integers(8, 30)), grey.shape[1] - 24)
    return grey, _nothing(grey), ~_nothing(grey)


def _bedside(grey: Field, rng: np.random.Generator) -> Finished:
    """Grid lines, uneven exposure, lettering; at times a label stuck over a lung."""
    rows, columns = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
    tilt = rng.normal(0, 14, 2)
    grey = 24 + 0.86 * grey + tilt[0] * (rows / grey.shape[0] - 0.5)
    grey += tilt[1] * (columns / grey.shape[1] - 0.5) + 1.2 * np.sin(rows * 1.9)
    covered = _nothing(grey)
    paste(grey, 225 * lettering("AP PORTABLE", 11), 6, int(rng.integers(6, 120)))
    paste(grey, 240 * lettering(str(rng.choice(["L", "SUPINE", "ERECT"])), 12), 22, 12)
    if rng.random() < 0.28:
        row, column = int(grey.shape[0] * rng.uniform(0.3, 0.55)), int(grey.shape[1] * 0.27)
        stamp = lettering(str(rng.choice(["1", "2", "A"])), 20)
        plate = np.pad(stamp, 5)
        window = paste(grey, 255 * np.ones_like(plate), row, column)
        grey[window] -= 250 * plate
        covered[window] = True
    return grey, covered, ~covered


def _film(grey: Field, rng: np.random.Generator) -> Finished:
    """A film photographed on a light box, stored inverted: bones dark, border and label light."""
    rows, columns = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]].astype(np.float64)
    y, x = rows / grey.shape[0] - 0.5, columns / grey.shape[1] - 0.5
    lean = np.radians(rng.normal(0, 1.6))
    across, down = x * np.cos(lean) + y * np.sin(lean), y * np.cos(lean) - x * np.sin(lean)
    margin = rng.uniform(0.425, 0.455, 2)
    inside = (np.abs(across) < margin[0]) & (np.abs(down) < margin[1])
    glare = np.exp(-((x - rng.uniform(-0.4, 0.4)) ** 2 + (y - rng.uniform(-0.4, 0.4)) ** 2) / 0.12)
    positive = 232 - 0.80 * grey - 60 * (x**2 + y**2) + 16 * glare
    picture = np.where(inside, positive, 58 + 22 * glare + 30 * y)
    strip = np.zeros_like(grey)
    at_row = int(grey.shape[0] * (0.5 - margin[1])) + 8
    plate = lettering(f"NO {rng.integers(1000, 9999)}", 9)
    paste(strip, np.pad(plate, 3), at_row, int(grey.shape[1] * (0.5 - margin[0])) + 8)
    picture = picture * (1 - strip) + 40 * strip
    exposed = ndimage.gaussian_filter(inside.astype(np.float64), 1.0)
    return ndimage.gaussian_filter(picture, 0.4), _nothing(grey), exposed > 0.5


def _child(grey: Field, rng: np.random.Generator) -> Finished:
    """Collimated hard around a small chest; black outside the field."""
    rows, columns = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]].astype(np.float64)
    y, x = rows / grey.shape[0] - 0.49, columns / grey.shape[1] - 0.5
    lean = np.radians(rng.normal(0, 3.0))
    across, down = x * np.cos(lean) + y * np.sin(lean), y * np.cos(lean) - x * np.sin(lean)
    field = step(rng.uniform(0.34, 0.39) - np.abs(across), 0.012)
    field *= step(rng.uniform(0.36, 0.40) - np.abs(down), 0.012)
    grey = field * (12 + 0.95 * grey) + (1 - field) * 5
    marker = lettering("R", 16)
    paste(grey, 250 * marker, int(grey.shape[0] * 0.16), int(grey.shape[1] * 0.16))
    return grey, _nothing(grey), field > 0.5
