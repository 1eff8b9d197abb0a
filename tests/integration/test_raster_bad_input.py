"""Bad rasters through the public API: an error that names file, band and block, no second attempt, and nothing left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from config import PlatformSettings
from tests.support.published import Platform, platform
from tests.support.raster import write_tiff

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
RNG = np.random.default_rng(23)


@pytest.fixture
def geo(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


def tiled(folder: Path, side: int = 600) -> Path:
    pixels = RNG.integers(0, 255, (2, side, side), dtype=np.uint8)
    return write_tiff(folder / "whole.tif", pixels, tiled=True, blockxsize=256, blockysize=256, interleave="band",
                      compress="deflate")  # fmt: skip


def truncated(folder: Path) -> Path:
    content = tiled(folder).read_bytes()
    (folder / "truncated.tif").write_bytes(content[: len(content) * 2 // 3])
    return folder / "truncated.tif"


def header_only(folder: Path) -> Path:
    (folder / "header.tif").write_bytes(tiled(folder).read_bytes()[:8])
    return folder / "header.tif"


def wrong_extension(folder: Path) -> Path:
    (folder / "table.tif").write_text("id,name\n1,Kigali\n")
    return folder / "table.tif"


def damaged_block(folder: Path) -> Path:
    """The fifth block of the second band is overwritten with what is no DEFLATE stream."""
    path = tiled(folder)
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=2))
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = b"\xff" * 200
    (folder / "damaged.tif").write_bytes(content)
    return folder / "damaged.tif"


def huge(folder: Path) -> Path:
    """36000 x 36000 pixels that were never written: a file of a few kilobytes."""
    path = folder / "huge.tif"
    shape = {"width": 36_000, "height": 36_000, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    place = Affine(0.0001, 0, 6, 0, -0.0001, 3)
    with rasterio.open(path, "w", driver="GTiff", transform=place, tiled=True, sparse_ok=True, **shape):
        pass
    assert path.stat().st_size < 500_000
    return path


def one_block(folder: Path) -> Path:
    """A single tile of 695 MiB, which would have to be unpacked at once."""
    path, side = folder / "tile.tif", 27_008
    shape = {"width": side, "height": side, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    tile = {"tiled": True, "blockxsize": side, "blockysize": side, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(path, "w", driver="GTiff", transform=Affine(0.0001, 0, 6, 0, -0.0001, 3), **tile, **shape):
        pass
    return path


def mixed(folder: Path) -> Path:
    """A VRT of an 8-bit and a floating-point band; its sources lie beside it."""
    write_tiff(folder / "bytes.tif", RNG.integers(0, 255, (20, 20), dtype=np.uint8))
    write_tiff(folder / "floats.tif", RNG.random((20, 20)).astype(np.float32))
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}"><SimpleSource><SourceFilename relativeToVRT="1">{file}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for n, (kind, file) in enumerate((("Byte", "bytes.tif"), ("Float32", "floats.tif")), start=1)
    )
    where = "<SRS>EPSG:32735</SRS><GeoTransform>500000, 10, 0, 9800000, 0, -10</GeoTransform>"
    (folder / "mixed.vrt").write_text(f'<VRTDataset rasterXSize="20" rasterYSize="20">{where}{bands}</VRTDataset>')
    return folder / "mixed.vrt"


def pointing_out(folder: Path) -> Path:
    (folder / "out.vrt").write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="0">/vsicurl/http://127.0.0.1:9/a.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    return folder / "out.vrt"


def camera_model(folder: Path) -> Path:
    path = write_tiff(folder / "rpc.tif", RNG.integers(0, 255, (20, 20), dtype=np.uint8), crs=None, transform=None)
    with rasterio.open(path, "r+") as dataset:
        numbers = " ".join(["1"] + ["0"] * 19)
        dataset.update_tags(
            ns="RPC", LINE_OFF="10", SAMP_OFF="10", LAT_OFF="-2", LONG_OFF="30", HEIGHT_OFF="0", LINE_SCALE="10",
            SAMP_SCALE="10", LAT_SCALE="1", LONG_SCALE="1", HEIGHT_SCALE="1", LINE_NUM_COEFF=numbers,
            LINE_DEN_COEFF=numbers, SAMP_NUM_COEFF=numbers, SAMP_DEN_COEFF=numbers,
        )  # fmt: skip
    return path


def many_bands(folder: Path, count: int = 1001) -> Path:
    return write_tiff(folder / "bands.tif", np.ones((count, 4, 4), np.uint8))


def unlike_declared(folder: Path) -> Path:
    return write_tiff(folder / "heights.tif", RNG.normal(900, 90, (30, 30)).astype(np.float32))


BAD: dict[str, tuple[Callable[[Path], Path], dict, str, str]] = {
    "truncated": (truncated, {}, "UNREADABLE_SOURCE", "read band 2, block at row"),
    "header only": (header_only, {}, "UNREADABLE_SOURCE", "open the raster"),
    "wrong extension": (wrong_extension, {}, "UNREADABLE_SOURCE", "not recognized"),
    "a damaged block in the middle": (
        damaged_block,
        {},
        "UNREADABLE_SOURCE",
        "band 2, block at row 256, column 256",
    ),
    "a block larger than memory": (one_block, {}, "INVALID_RASTER", "695 MiB when unpacked"),
    "bands of different types": (mixed, {}, "INVALID_RASTER", "band 1 uint8, band 2 float32"),
    "a description of what is elsewhere": (pointing_out, {}, "UNSUPPORTED_FORMAT", "outside its container"),
    "a camera model only": (camera_model, {}, "INVALID_RASTER", "camera model"),
    "more bands than can be described": (many_bands, {}, "INVALID_RASTER", "1001 bands"),
    "a wrong declaration": (
        unlike_declared,
        {"raster_type": "rgb"},
        "RASTER_TYPE_MISMATCH",
        "declared rgb but has",
    ),
    "a variable that is not there": (
        unlike_declared,
        {"variable": "rain"},
        "AMBIGUOUS_LAYER",
        "named 'rain'",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_raster_fails_at_once_says_where_and_leaves_nothing(geo: Platform, tmp_path: Path, kind: str):
    make, options, code, says = BAD[kind]
    path = make(tmp_path)
    for beside in ("bytes.tif", "floats.tif"):
        if (tmp_path / beside).exists():
            geo.upload(tmp_path / beside)
    status = geo.process(path, options=options)
    error = status["job_error"]
    assert (status["job_status"], error["code"]) == ("failed", code), error
    assert says in error["message"] and path.name in error["message"] and error["hint"], error
    assert geo.api.query("SELECT max(attempt) FROM app.tasks") == [(1,)]
    assert geo.left_behind() == {"blobs": 0, "rows": 0, "workdirs": 0}


def test_an_empty_file_is_refused_when_it_is_submitted(geo: Platform, tmp_path: Path):
    (tmp_path / "empty.tif").touch()
    answer = geo.submit(geo.upload(tmp_path / "empty.tif"))
    assert answer.status_code == 400 and answer.json()["code"] == "UNREADABLE_SOURCE"
    assert "empty.tif is empty" in answer.json()["error"]
    assert geo.api.query("SELECT count(*) FROM app.jobs") == [(0,)]


def test_a_picture_larger_than_this_system_allows_is_refused_by_its_header(db: str, tmp_path: Path):
    limits = PlatformSettings(RASTER_MAX_PIXELS=1_000_000_000)
    with platform(db, tmp_path / "home", platform=limits) as geo:
        status = geo.process(huge(tmp_path))
        error = status["job_error"]
        assert error["code"] == "INVALID_RASTER" and "36000 x 36000 = 1296000000 pixels" in error["message"]
        assert geo.left_behind() == {"blobs": 0, "rows": 0, "workdirs": 0}


def test_a_single_pixel_and_sixty_five_bands_are_rasters_too(geo: Platform, tmp_path: Path):
    one = geo.publish(write_tiff(tmp_path / "one.tif", np.array([[7]], np.uint8)))
    assert (
        one["properties"]["proj:shape"] == [1, 1]
        and one["assets"]["data"]["raster:bands"][0]["statistics"]["mean"] == 7
    )
    many = geo.publish(write_tiff(tmp_path / "many.tif", RNG.random((65, 20, 20)).astype(np.float32)))
    assert len(many["assets"]["data"]["raster:bands"]) == len(many["assets"]["data"]["bands"]) == 65
    for item in (one, many):
        preview = next(link["href"] for link in item["links"] if link["rel"] == "preview")
        assert geo.public.get(preview).status_code == 200


def test_a_picture_of_nothing_is_published_with_a_warning_and_refused_in_strict_mode(geo: Platform, tmp_path: Path):
    path = write_tiff(tmp_path / "nothing.tif", np.zeros((30, 30), np.uint8), nodata=0)
    found = geo.publish(path)["properties"]["app:findings"]
    assert [(f["code"], f["severity"]) for f in found if f["severity"] == "warning"] == [("ALL_NODATA", "warning")]
    assert all(f["message"] and set(f) == {"code", "severity", "message", "fix"} for f in found)
    [(stored,)] = geo.api.query("SELECT findings FROM app.cog_metadata")
    assert stored == found
    strict = geo.process(path, options={"strict_mode": True})
    assert strict["job_error"]["code"] == "INVALID_RASTER" and "strict mode" in strict["job_error"]["message"]


def test_a_file_without_crs_is_published_once_one_is_given(geo: Platform, tmp_path: Path):
    path = write_tiff(tmp_path / "nocrs.tif", RNG.random((30, 30)).astype(np.float32), crs=None)
    error = geo.process(path)["job_error"]
    assert error["code"] == "CRS_MISSING" and "input_crs, for example EPSG:4326" in error["hint"]
    assert geo.publish(path, options={"input_crs": "EPSG:32735"})["properties"]["proj:code"] == "EPSG:32735"
