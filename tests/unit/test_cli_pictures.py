"""A picture in the terminal: each character shows two pixels, and none where there is nothing to see."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rich.console import Console

from triggers.cli.pictures import blocks, draw

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
RED, BLUE, NONE = (255, 0, 0, 255), (0, 0, 255, 255), (9, 9, 9, 0)


def test_a_character_holds_an_upper_and_a_lower_pixel():
    text = blocks(np.array([[RED, RED, NONE, NONE], [BLUE, NONE, BLUE, NONE], [RED] * 4], np.uint8))
    lines = text.plain.splitlines()
    assert lines == ["  ▀▀▄ ", "  ▀▀▀▀"]
    drawn = {text.plain[span.start] + str(span.style) for span in text.spans}
    assert drawn >= {"▀rgb(255,0,0) on rgb(0,0,255)", "▀rgb(255,0,0)", "▄rgb(0,0,255)"}


def picture(folder: Path, bands: int) -> Path:
    path = folder / "p.png"
    pixels = np.full((bands, 90, 300), 200, np.uint8)
    with rasterio.open(path, "w", driver="PNG", width=300, height=90, count=bands, dtype="uint8") as out:
        out.write(pixels)
    return path


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_a_picture_is_drawn_only_where_a_terminal_has_colours(tmp_path: Path, bands: int):
    path = picture(tmp_path, bands)
    colourful, plain = io.StringIO(), io.StringIO()
    draw(Console(file=colourful, force_terminal=True, color_system="truecolor", width=100), path)
    draw(Console(file=plain), path)
    assert plain.getvalue() == ""
    lines = colourful.getvalue().rstrip().splitlines()
    assert 8 <= len(lines) <= 12 and all(line.count("▀") >= 60 for line in lines[:-1])
    assert "38;2;200;200;200" in lines[0]
