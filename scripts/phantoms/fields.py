"""Small tools of the phantoms: smooth random fields, bands along curves, bitmap text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Field = NDArray[np.float64]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Field:
    """Gaussian noise of ``shape``, blurred by ``sigma`` pixels, with mean 0 and variance 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float64)


def step(x: Field, width: float) -> Field:
    """A soft step from 0 (x far below 0) to 1, about ``width`` wide."""
    return np.asarray(0.5 + 0.5 * np.tanh(2.0 * x / width), dtype=np.float64)


def disc(r: Field) -> Field:
    """Thickness of a unit ball along the view, by squared distance ``r`` from its centre."""
    return np.sqrt(np.clip(1.0 - r, 0.0, None))


def _outline(curve: Field, half_width: Field | float) -> list[tuple[float, float]]:
    along = np.gradient(curve, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    offset = across * np.broadcast_to(np.asarray(half_width), len(curve))[:, None]
    around = np.concatenate([curve + offset, (curve - offset)[::-1]])
    return [(float(column), float(row)) for column, row in around]


def ribbons(shape: tuple[int, int], curves: list[tuple[Field, Field, float]]) -> Field:
    """Bands along curves, each (points (n, 2: column, row), half width, value); the last on top."""
    canvas = Image.new("F", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    for curve, half_width, value in curves:
        draw.polygon(_outline(curve, half_width), fill=value)
    return np.asarray(canvas, dtype=np.float64)


def band(shape: tuple[int, int], curve: Field, half_width: Field | float) -> Field:
    """1 within ``half_width`` pixels of ``curve`` (n, 2: column, row), 0 elsewhere."""
    return ribbons(shape, [(curve, np.asarray(half_width, dtype=np.float64), 1.0)])


def polygon(shape: tuple[int, int], outline: Field) -> Field:
    """1 inside the polygon ``outline`` (n, 2: column, row), 0 outside."""
    canvas = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(canvas).polygon([(float(c), float(r)) for c, r in outline], fill=1)
    return np.asarray(canvas, dtype=np.float64)


def lettering(text: str, height: int) -> Field:
    """``text`` in Pillow's built-in bitmap font, ``height`` pixels high, values 0 to 1."""
    font = ImageFont.load_default_imagefont()
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, fill=255, font=font)
    width = max(1, round(canvas.width * height / canvas.height))
    scaled = canvas.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(scaled, dtype=np.float64) / 255.0


def paste(target: Field, stamp: Field, row: int, column: int) -> tuple[slice, slice]:
    """Brighten ``target`` by ``stamp`` at (row, column) in place; return the window it fell on."""
    bottom = min(row + stamp.shape[0], target.shape[0])
    right = min(column + stamp.shape[1], target.shape[1])
    window = slice(max(row, 0), bottom), slice(max(column, 0), right)
    part = stamp[max(-row, 0) :, max(-column, 0) :]
    part = part[: bottom - max(row, 0), : right - max(column, 0)]
    target[window] = np.maximum(target[window], part)
    return window
