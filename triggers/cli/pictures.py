"""Pictures of what was published: kept as files, and drawn where a terminal has colours."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from services.raster.names import stem
from triggers.cli import links

_FOLDER = "previews"
_COLUMNS, _ROWS = 64, 24
_UPPER_HALF = "▀"


def keep(url: str, home: Path, label: str) -> Path | None:
    """Save the picture behind a link under `home`; None when there is none."""
    content = links.picture(url)
    if content is None:
        return None
    path = home / _FOLDER / f"{stem(label)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def draw(console: Console, path: Path) -> None:
    """Print a picture, two pixels to a character, where the output is a terminal with colours."""
    if console.is_terminal and console.color_system is not None:
        console.print(blocks(_pixels(path, _COLUMNS, 2 * _ROWS)))


def blocks(pixels: np.ndarray) -> Text:
    """Red, green, blue and alpha, by rows and columns, as lines of half blocks; what is transparent stays blank."""
    if pixels.shape[0] % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        text.append("  ")
        for above, below in zip(upper, lower, strict=True):
            text.append(_UPPER_HALF if above[3] else "▄" if below[3] else " ", _style(above, below))
        text.append("\n")
    return text


def _style(above: np.ndarray, below: np.ndarray) -> Style:
    seen = [f"rgb({r},{g},{b})" if alpha else None for r, g, b, alpha in (above.tolist(), below.tolist())]
    return Style(color=seen[0], bgcolor=seen[1]) if seen[0] else Style(color=seen[1])


def _pixels(path: Path, columns: int, rows: int) -> np.ndarray:
    """The picture within that many columns and rows, as rows x columns x 4."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as picture:
            scale = min(columns / picture.width, rows / picture.height)
            shape = max(1, round(picture.height * scale)), max(1, round(picture.width * scale))
            bands = picture.read(out_shape=(picture.count, *shape))
    colors, alpha = (bands[:-1], bands[-1]) if len(bands) in (2, 4) else (bands, np.full(shape, 255, np.uint8))
    colors = np.repeat(colors, 3, axis=0) if len(colors) == 1 else colors
    stacked: np.ndarray = np.stack([*colors.astype(np.uint8), alpha.astype(np.uint8)], axis=-1)
    return stacked
