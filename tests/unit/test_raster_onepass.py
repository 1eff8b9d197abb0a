"""The one-pass writer's COG is the one GDAL's COG driver makes, for every layout it takes on; the rest it refuses."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rio_tiler.io import Reader

from services.raster.onepass import tiff
from services.raster.onepass.eligibility import refusals
from services.raster.onepass.layout import StoredLevel, assemble
from services.raster.onepass.pyramid import WHOLE, kept_whole
from tests.support.cogs import assert_same, both, profile
from tests.support.raster import UTM, write_tiff

RNG = np.random.default_rng(23)
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def values(dtype: str, *shape: int) -> np.ndarray:
    if np.dtype(dtype).kind == "f":
        return RNG.normal(1000, 300, shape).astype(dtype)
    info = np.iinfo(dtype)
    return RNG.integers(max(info.min, -(2**40)), min(info.max, 2**40), shape, endpoint=True).astype(dtype)


def with_holes(pixels: np.ndarray, nodata: float) -> np.ndarray:
    pixels = pixels.copy()
    pixels[..., RNG.random(pixels.shape[-2:]) < 0.2] = nodata
    pixels[..., :60, :300] = nodata
    return pixels


def check(source: Path, tmp_path: Path, **chosen: str | int) -> Path:
    made = both(source, profile(**chosen), tmp_path)
    assert not isinstance(made, list), made
    assert_same(*made)
    return made[0]


@pytest.mark.parametrize("shape", [(1101, 1303), (520, 1000)])
@pytest.mark.parametrize("dtype", [*INTEGERS, "float32", "float64"])
def test_every_type_of_number_at_even_and_odd_sizes(tmp_path, dtype, shape):
    check(write_tiff(tmp_path / "a.tif", values(dtype, *shape)), tmp_path)


@pytest.mark.parametrize(
    "shape", [(513, 2051), (1, 1), (1, 400), (400, 1), (512, 512), (511, 1025), (4, 600), (1026, 512)]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_sizes_around_the_edge_of_a_tile(tmp_path, dtype, shape):
    check(write_tiff(tmp_path / "a.tif", values(dtype, *shape)), tmp_path)


@pytest.mark.parametrize("shape", [(700, 900), (1101, 1303)])
@pytest.mark.parametrize("dtype", [*INTEGERS[:6], "float32", "float64"])
def test_nodata_is_left_out_of_overviews(tmp_path, dtype, shape):
    pixels = with_holes(values(dtype, *shape), 7)
    check(write_tiff(tmp_path / "a.tif", pixels, nodata=7), tmp_path)


def test_not_a_number_as_nodata_and_as_a_value(tmp_path):
    pixels = with_holes(values("float32", 1101, 900), np.nan)
    check(write_tiff(tmp_path / "a.tif", pixels, nodata=np.nan), tmp_path)
    check(write_tiff(tmp_path / "b.tif", pixels), tmp_path)


@pytest.mark.parametrize("compression", ["DEFLATE", "LZW"])
@pytest.mark.parametrize(("bands", "dtype"), [(2, "int16"), (3, "uint8"), (5, "uint16"), (7, "float32")])
def test_several_bands(tmp_path, bands, dtype, compression):
    pixels = with_holes(values(dtype, bands, 701, 1030), 0)
    check(write_tiff(tmp_path / "a.tif", pixels, nodata=0), tmp_path, compression=compression)


@pytest.mark.parametrize("predictor", ["YES", "NO"])
@pytest.mark.parametrize("resampling", ["AVERAGE", "MODE"])
def test_classes_with_and_without_a_palette(tmp_path, resampling, predictor):
    pixels = np.kron(RNG.integers(0, 9, (353, 411), dtype=np.uint8), np.ones((3, 3), np.uint8))
    palette = {i: (25 * i, 5 * i, 255 - i, 255) for i in range(10)}
    check(write_tiff(tmp_path / "a.tif", pixels, nodata=8), tmp_path, resampling=resampling, predictor=predictor)
    colored = write_tiff(tmp_path / "b.tif", pixels, palette=palette, nodata=8)
    check(colored, tmp_path, resampling="MODE", predictor=predictor)


def test_a_picture_as_jpeg_has_the_same_pixels_to_the_last_bit(tmp_path):
    y, x = np.mgrid[0:1101, 0:1302]
    pixels = np.stack([x // 6 % 250, y // 6 % 250, (x + y) // 9 % 250]).astype(np.uint8)
    check(write_tiff(tmp_path / "a.tif", pixels, photometric="RGB"), tmp_path, compression="JPEG")


LAYOUTS = {
    "striped": {},
    "tiled": {"tiled": True, "blockxsize": 256, "blockysize": 128},
    "tiled, compressed, by band": {"tiled": True, "compress": "ZSTD", "interleave": "band"},
    "big-endian": {"ENDIANNESS": "BIG"},
    "BigTIFF": {"BIGTIFF": "YES"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_the_layout_of_the_source(tmp_path, layout):
    check(write_tiff(tmp_path / "a.tif", values("int16", 2, 801, 1203), **LAYOUTS[layout]), tmp_path)


def test_what_gives_pixels_their_meaning_is_kept(tmp_path):
    path = write_tiff(tmp_path / "a.tif", values("int16", 2, 600, 700), nodata=-5)
    with rasterio.open(path, "r+") as out:
        out.update_tags(AREA_OR_POINT="Point", mission="one & <two>")
        out.update_tags(1, wavelength="0.4")
        out.descriptions, out.units, out.scales, out.offsets = ("red", "b"), ("m", "s"), (0.1, 1), (5, 0)
        out.colorinterp = [ColorInterp.red, ColorInterp.undefined]
    check(path, tmp_path)
    rotated = rasterio.Affine(8, 2, 500_000, 2, -8, 9_800_000)
    check(write_tiff(tmp_path / "b.tif", values("uint8", 600, 700), transform=rotated), tmp_path)
    custom = "+proj=laea +lat_0=3 +lon_0=20 +ellps=sphere +units=m"
    check(write_tiff(tmp_path / "c.tif", values("uint8", 600, 700), crs=custom), tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_level_too_large_to_keep_whole_is_halved_as_its_rows_come(tmp_path, dtype):
    width, height = 4099, {"uint8": 8200, "float32": 2060}[dtype]
    assert not kept_whole(width, height, np.dtype(dtype).itemsize)
    pixels = with_holes(values(dtype, height, width), 9)
    check(write_tiff(tmp_path / "a.tif", pixels, nodata=9), tmp_path)


def test_a_tile_server_reads_it(tmp_path):
    made = check(write_tiff(tmp_path / "a.tif", values("uint8", 3, 1100, 1300), photometric="RGB"), tmp_path)
    with Reader(str(made)) as reader, rasterio.open(made) as dataset:
        picture = reader.preview(max_size=100)
        assert picture.data.shape[0] == 3 and reader.info().overviews == dataset.overviews(1)


REFUSED = {
    "mask": lambda p: write_tiff(p, values("uint8", 3, 600, 700), mask=(np.tri(600, 700) * 255).astype(np.uint8)),
    "alpha": lambda p: write_tiff(p, values("uint8", 4, 600, 700), photometric="RGB", ALPHA="YES"),
    "narrower": lambda p: write_tiff(p, values("uint16", 600, 700) >> 4, nbits=12),
    "64-bit nodata": lambda p: write_tiff(p, values("int64", 600, 700), nodata=3),
    "narrow": lambda p: write_tiff(p, values("uint8", 1, 3000)),
    "odd number of rows": lambda p: write_tiff(p, np.zeros((4097, WHOLE // 4096), np.uint8), compress="ZSTD"),
    "row of tiles": lambda p: write_tiff(p, np.zeros((4, 150_000), np.uint8), compress="ZSTD"),
}


@pytest.mark.parametrize("reason", [*REFUSED][:-1])
def test_what_was_not_found_equal_is_left_to_the_driver(tmp_path, reason):
    with rasterio.open(REFUSED[reason](tmp_path / "a.tif")) as dataset:
        (found,) = refusals(dataset, profile())
    assert reason in found


def test_profiles_that_the_driver_has_its_own_way_with_are_left_to_it(tmp_path):
    with rasterio.open(write_tiff(tmp_path / "a.tif", values("uint8", 2, 600, 700))) as dataset:
        assert [*refusals(dataset, profile("JPEG"))] == ["the driver turns a fourth band of a JPEG into a mask"]
        assert [*refusals(dataset, profile("WEBP"))] and [*refusals(dataset, profile(resampling="NEAREST"))]


def test_a_file_beyond_four_gigabytes_is_a_bigtiff(tmp_path):
    # Sparse files stand in for the tiles: only where they are told to be matters here.
    spool = tmp_path / "tiles"
    with spool.open("wb") as file:
        file.truncate(4_100_000_000)
    level = StoredLevel(512, 1024, spool, (0, 2_000_000_000), (2_000_000_000, 2_100_000_000 - 16), True, {})
    template = {258: tiff.Field.of(3, 8), 322: tiff.Field.of(3, 512), 323: tiff.Field.of(3, 512)}
    assemble(tmp_path / "big.tif", template, [level])
    with (tmp_path / "big.tif").open("rb") as file:
        assert struct.unpack("<2sHHH", file.read(8)) == (b"II", 43, 8, 0)
    found = tiff.first_directory(tmp_path / "big.tif")
    assert found[tiff.TILE_SIZES].numbers() == level.sizes
    first, second = found[tiff.TILE_OFFSETS].numbers()
    assert second - first == level.sizes[0] + 8
    assert (tmp_path / "big.tif").stat().st_size == second + level.sizes[1] + 4
    (tmp_path / "big.tif").unlink()


_MEASURED = """
import sys
from pathlib import Path
import rasterio
from services.raster.memory import peak_mb
from services.raster.onepass.writer import write_cog
from tests.support.cogs import Rows, profile
with rasterio.Env(GDAL_CACHEMAX=64 << 20), rasterio.open(sys.argv[1]) as dataset:
    write_cog(dataset, profile(), Path(sys.argv[2]), Rows(dataset))
print(peak_mb())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_stays_bounded_for_a_raster_as_wide_as_one_of_a_thousand_million_pixels(tmp_path):
    kind = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32735", "transform": UTM}
    with rasterio.open(tmp_path / "a.tif", "w", width=31_622, height=2048, sparse_ok=True, **kind):
        pass
    command = [sys.executable, "-c", _MEASURED, str(tmp_path / "a.tif"), str(tmp_path / "cog.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 400
