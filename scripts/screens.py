"""Draw screens of the app as PNG files: what a person sees, without a terminal.

    python scripts/screens.py PROJECT --size 120x40 --out home.png
    python scripts/screens.py PROJECT --size 80x24 --keys "2 c c" --out map.png

Needs a monospaced font that has braille and box drawing, such as DejaVu Sans Mono (Debian:
fonts-dejavu-core); name another with --font.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from coldal_tui.tui.drawing.cell_pixels import SHAPES, CellShape
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.shell.app import ColdalApp
from coldal_tui.tui.shell.session_state import Memory

CELL = (10, 20)
COLOURS = 128
FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/TTF/DejaVuSansMono.ttf",
    "/Library/Fonts/DejaVuSansMono.ttf",
)
FOREGROUND, BACKGROUND = (213, 218, 223), (16, 20, 24)
PARTS = {
    "█": (0, 0, 8, 8), "▀": (0, 0, 8, 4), "▄": (0, 4, 8, 8), "▌": (0, 0, 4, 8), "▐": (4, 0, 8, 8),
    "▏": (0, 0, 1, 8), "▎": (0, 0, 2, 8), "▍": (0, 0, 3, 8), "▋": (0, 0, 5, 8), "▊": (0, 0, 6, 8),
    "▉": (0, 0, 7, 8), "▁": (0, 7, 8, 8), "▂": (0, 6, 8, 8), "▃": (0, 5, 8, 8), "▅": (0, 3, 8, 8),
    "▆": (0, 2, 8, 8), "▇": (0, 1, 8, 8),
}  # fmt: skip
"""Blocks in eighths of a cell: drawn as rectangles, since fonts leave seams between them."""
SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont


def colours(style: Style | None) -> tuple[Colour, Colour]:
    """Foreground and background of a style, reverse and dim applied."""
    front, back = FOREGROUND, BACKGROUND
    if style is None:
        return front, back
    if style.color is not None and not style.color.is_default:
        front = tuple(style.color.get_truecolor())  # type: ignore[assignment]
    if style.bgcolor is not None and not style.bgcolor.is_default:
        back = tuple(style.bgcolor.get_truecolor())  # type: ignore[assignment]
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = mix(back, front, 0.6)
    return front, back


def mix(one: Colour, other: Colour, share: float) -> Colour:
    mixed = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return tuple(mixed)  # type: ignore[return-value]


def draw(
    strips: Sequence[Strip], font: ImageFont.FreeTypeFont, bold: ImageFont.FreeTypeFont
) -> Image.Image:
    """A picture of the screen, one ``CELL`` for each character."""
    width, height = max(strip.cell_length for strip in strips), len(strips)
    picture = Image.new("RGB", (width * CELL[0], height * CELL[1]), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for row, strip in enumerate(strips):
        for column, (character, style) in enumerate(cells(strip)):
            front, back = colours(style)
            x, y = column * CELL[0], row * CELL[1]
            pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), fill=back)
            _glyph(pen, character, (x, y), front, back, bold if style and style.bold else font)
            if style is not None and style.underline:
                pen.line((x, y + CELL[1] - 2, x + CELL[0] - 1, y + CELL[1] - 2), fill=front)
    return picture


def cells(strip: Strip) -> Iterable[tuple[str, Style | None]]:
    for segment in strip:
        if isinstance(segment, Segment) and not segment.control:
            for character in segment.text:
                yield character, segment.style


def _glyph(
    pen: ImageDraw.ImageDraw,
    character: str,
    at: tuple[int, int],
    front: Colour,
    back: Colour,
    font: Font,
) -> None:
    x, y = at
    if character in PARTS:
        left, top, right, bottom = PARTS[character]
        box = (x + CELL[0] * left / 8, y + CELL[1] * top / 8)
        end = (x + CELL[0] * right / 8 - 1, y + CELL[1] * bottom / 8 - 1)
        pen.rectangle((*box, *end), fill=front)
    elif pixels := _pixels(character):
        shape, pattern = pixels
        for bit in range(shape.across * shape.down):
            if pattern >> bit & 1:
                column, row = bit % shape.across, bit // shape.across
                box = (x + CELL[0] * column // shape.across, y + CELL[1] * row // shape.down)
                right = x + CELL[0] * (column + 1) // shape.across - 1
                end = (right, y + CELL[1] * (row + 1) // shape.down - 1)
                pen.rectangle((*box, *end), fill=front)
    elif character in SHADES:
        fill = mix(back, front, SHADES[character])
        pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), fill=fill)
    elif 0x2800 < ord(character) < 0x2900:
        _braille(pen, ord(character) - 0x2800, at, front)
    elif character != " ":
        pen.text((x, y), character, font=font, fill=front)


def _pixels(character: str) -> tuple[CellShape, int] | None:
    """The pattern of a sextant or a quadrant."""
    for shape in SHAPES.values():
        if character != " " and character in shape.characters:
            return shape, shape.characters.index(character)
    return None


def _braille(pen: ImageDraw.ImageDraw, dots: int, at: tuple[int, int], front: Colour) -> None:
    places = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
    for bit, (column, row) in enumerate(places):
        if dots >> bit & 1:
            x, y = at[0] + 2.5 + 5 * column, at[1] + 2.5 + 5 * row
            pen.ellipse((x - 1.6, y - 1.6, x + 1.6, y + 1.6), fill=front)


async def shoot(
    root: Path, size: tuple[int, int], keys: Sequence[str], *, plain: bool, wait_s: float
) -> list[Strip]:
    """The screen after ``keys``; the view starts afresh, whoever looked before."""
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory(root.resolve(), Path(folder), Path(folder))
        app = ColdalApp(root, look=ASCII if plain else UNICODE, memory=memory, readonly=False)
        async with app.run_test(size=size) as pilot:
            await pilot.pause(wait_s)
            for key in keys:
                if key.startswith("wait:"):
                    await pilot.pause(float(key.removeprefix("wait:")))
                else:
                    await pilot.press(key)
            await pilot.pause(wait_s)
            return list(app.screen._compositor.render_strips())


def find_font(named: str | None) -> Path:
    for path in [named] if named else FONTS:
        if path and Path(path).is_file():
            return Path(path)
    raise SystemExit("no font found: install fonts-dejavu-core, or name one with --font")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--size", default="120x40", help="columns x rows")
    parser.add_argument("--keys", default="", help="such as: '2 c wait:1 plus'")
    parser.add_argument("--out", type=Path, default=Path("screen.png"))
    parser.add_argument("--font", help="a monospaced TrueType font")
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds before the picture")
    given = parser.parse_args()
    path = find_font(given.font)
    bold = path.with_name(path.stem + "-Bold" + path.suffix)
    font = ImageFont.truetype(str(path), 16)
    heavy = ImageFont.truetype(str(bold if bold.exists() else path), 16)
    width, height = (int(number) for number in given.size.split("x"))
    keys = given.keys.split()
    strips = asyncio.run(
        shoot(given.project, (width, height), keys, plain=given.ascii, wait_s=given.wait)
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture = draw(strips, font, heavy)
    # A screen has few colours: a palette of them makes a third of the size.
    palette = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    palette.save(given.out, optimize=True)
    print(given.out)


if __name__ == "__main__":
    main()
