"""Charts as SVG, written by hand, and as PNG, drawn with Pillow."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from coldal_tui.simulation.charts import INK, Line, Marker, Picture, Text

_FONT = "Helvetica, Arial, sans-serif"
_SCALE = 2
_OVERSAMPLED = 2
_DASH = (6, 4)


def to_svg(picture: Picture) -> str:
    """A standalone SVG 1.1 document; text is not converted to outlines."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{picture.width}" '
        f'height="{picture.height}" viewBox="0 0 {picture.width} {picture.height}" '
        f"font-family={quoteattr(_FONT)}>",
        f'<rect width="{picture.width}" height="{picture.height}" fill="#ffffff"/>',
    ]
    for shape in picture.shapes:
        if isinstance(shape, Line):
            lines.append(_svg_line(shape))
        elif isinstance(shape, Marker):
            lines.append(_svg_marker(shape))
        else:
            lines.append(_svg_text(shape))
    return "\n".join([*lines, "</svg>", ""])


def _svg_line(line: Line) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line.points)
    dash = f' stroke-dasharray="{_DASH[0]} {_DASH[1]}"' if line.dashed else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{line.colour}" '
        f'stroke-width="{line.width:g}"{dash}/>'
    )


def _svg_marker(marker: Marker) -> str:
    fill = marker.colour if marker.filled else "#ffffff"
    paint = f'fill="{fill}" stroke="{marker.colour}" stroke-width="1.4"'
    if marker.shape == "circle":
        (left, _), (right, _) = marker.corners()
        x, y = marker.at
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{(right - left) / 2:.1f}" {paint}/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in marker.corners())
    return f'<polygon points="{points}" {paint}/>'


def _svg_text(text: Text) -> str:
    x, y = text.at
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if text.upright else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{text.anchor}" font-size="{text.size}" '
        f'fill="{INK}"{turn}>{escape(text.words)}</text>'
    )


def to_png(picture: Picture) -> bytes:
    """A PNG of twice the picture's size, drawn larger and downsampled for smooth lines."""
    from PIL import Image, ImageDraw

    factor = _SCALE * _OVERSAMPLED
    size = picture.width * factor, picture.height * factor
    image = Image.new("RGB", size, "#ffffff")
    brush = ImageDraw.Draw(image)
    for shape in picture.shapes:
        if isinstance(shape, Line):
            _paint_line(brush, shape, factor)
        elif isinstance(shape, Marker):
            _paint_marker(brush, shape, factor)
        else:
            _paint_text(image, brush, shape, factor)
    smooth = image.resize(
        (picture.width * _SCALE, picture.height * _SCALE), Image.Resampling.LANCZOS
    )
    stream = io.BytesIO()
    smooth.save(stream, "PNG")
    return stream.getvalue()


def _paint_line(brush: Any, line: Line, factor: int) -> None:
    points = [(x * factor, y * factor) for x, y in line.points]
    width = max(1, round(line.width * factor))
    if not line.dashed:
        brush.line(points, fill=line.colour, width=width, joint="curve")
        return
    for start, end in pairwise(points):
        _paint_dashes(brush, start, end, line.colour, width, factor)


def _paint_dashes(
    brush: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    width: int,
    factor: int,
) -> None:
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    done, dash, gap = 0.0, _DASH[0] * factor, _DASH[1] * factor
    while done < length:
        ends = done, min(done + dash, length)
        at = [
            (
                start[0] + (end[0] - start[0]) * part / length,
                start[1] + (end[1] - start[1]) * part / length,
            )
            for part in ends
        ]
        brush.line(at, fill=colour, width=width)
        done += dash + gap


def _paint_marker(brush: Any, marker: Marker, factor: int) -> None:
    fill = marker.colour if marker.filled else "#ffffff"
    points = [(x * factor, y * factor) for x, y in marker.corners()]
    width = round(1.4 * factor)
    if marker.shape == "circle":
        brush.ellipse([points[0], points[1]], fill=fill, outline=marker.colour, width=width)
    else:
        brush.polygon(points, fill=fill, outline=marker.colour, width=width)


def _paint_text(image: Any, brush: Any, text: Text, factor: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=text.size * factor)
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[text.anchor]
    x, y = text.at[0] * factor, text.at[1] * factor
    words = text.words.replace("α", "a")  # Pillow's own font has no Greek
    if not text.upright:
        brush.text((x, y), words, fill=INK, font=font, anchor=anchor)
        return
    left, top, right, bottom = brush.textbbox((0, 0), words, font=font)
    made = Image.new("RGB", (int(right - left), int(bottom - top) + 2 * factor), "#ffffff")
    ImageDraw.Draw(made).text((-left, -top), words, fill=INK, font=font)
    turned = made.rotate(90, expand=True)
    image.paste(turned, (int(x - turned.width), int(y - turned.height / 2)))
