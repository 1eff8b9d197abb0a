"""What inspection says of small rasters that the tests make."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from core.contracts.findings import Severity
from core.contracts.raster import Georeference, RasterType, ValidateRasterInput
from core.errors import (
    AmbiguousLayer,
    CrsMismatch,
    CrsMissing,
    Interrupted,
    InvalidRaster,
    InvalidRequest,
    RasterTypeMismatch,
    SourceNotFound,
    UnreadableSource,
    UnsupportedFormat,
)
from services.raster import handlers
from tests.support.raster import CONTAINER, RasterRig, write_tiff

RNG = np.random.default_rng(7)


@pytest.fixture
def rig(tmp_path: Path) -> RasterRig:
    return RasterRig(tmp_path)


def photo(bands: int = 3, side: int = 40) -> np.ndarray:
    return RNG.integers(1, 255, (bands, side, side), dtype=np.uint8)


def hills(side: int = 300) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    return (1500 + 400 * np.sin(5 * x) * np.cos(4 * y)).astype(np.float32)


def codes(inspection) -> set[str]:
    return {finding.code for finding in inspection.findings}


def test_statistics_cover_the_whole_image_and_leave_nodata_out(rig, tmp_path):
    pixels = hills(700)
    pixels[-1, -1] = 4321.0
    pixels[:100] = -9999
    found = rig.inspect(write_tiff(tmp_path / "dem.tif", pixels, nodata=-9999))
    stats, valid = found.bands[0].statistics, pixels[100:].astype(np.float64)
    assert stats.minimum == valid.min() and stats.maximum == 4321.0
    assert stats.mean == pytest.approx(valid.mean(), rel=1e-9)
    assert stats.stddev == pytest.approx(valid.std(), rel=1e-9)
    assert stats.valid_percent == pytest.approx(100 * 600 / 700, abs=1e-4)
    low, high = np.percentile(valid, [2, 98])
    assert (stats.percentile_2, stats.percentile_98) == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float64"])
def test_statistics_of_every_width_agree_with_numpy(rig, tmp_path, dtype):
    low, high = (0, 200) if dtype == "uint8" else (-100, 100) if dtype == "int8" else (0, 30000)
    pixels = RNG.integers(low, high, (50, 60)).astype(dtype)
    stats = rig.inspect(write_tiff(tmp_path / "a.tif", pixels, nodata=int(pixels[0, 0]))).bands[0].statistics
    valid = pixels[pixels != pixels[0, 0]].astype(np.float64)
    assert (stats.minimum, stats.maximum) == (valid.min(), valid.max())
    assert (stats.mean, stats.stddev) == pytest.approx((valid.mean(), valid.std()))


def test_nan_counts_as_nodata_and_infinity_never_enters_statistics(rig, tmp_path):
    pixels = np.array([[1.0, 2.0], [np.nan, np.inf]], dtype=np.float32)
    found = rig.inspect(write_tiff(tmp_path / "a.tif", pixels, nodata=float("nan")))
    assert found.bands[0].nodata == "nan"
    assert (found.bands[0].statistics.maximum, found.bands[0].statistics.valid_percent) == (2.0, 50.0)


def test_pixels_under_alpha_or_mask_are_not_counted(rig, tmp_path):
    pixels = photo(4)
    pixels[3] = 255
    pixels[:, :20] = 0
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with_alpha = rig.inspect(write_tiff(tmp_path / "alpha.tif", pixels, colors=colors))
    assert with_alpha.bands[0].statistics.minimum > 0 and with_alpha.detection.detected is RasterType.RGBA
    mask = np.full((40, 40), 255, dtype=np.uint8)
    mask[:20] = 0
    masked = rig.inspect(write_tiff(tmp_path / "mask.tif", pixels[:3], mask=mask))
    assert masked.bands[0].statistics.valid_percent == 50.0 and masked.mask_checksum


def test_an_image_of_nothing_but_nodata_is_told_not_divided_by_zero(rig, tmp_path):
    found = rig.inspect(write_tiff(tmp_path / "a.tif", np.zeros((5, 5), np.uint8), nodata=0))
    assert found.bands[0].statistics is None and "ALL_NODATA" in codes(found)


def test_the_checksum_depends_on_pixels_and_not_on_layout(rig, tmp_path):
    pixels = RNG.integers(0, 5000, (2, 1100, 1300), dtype=np.uint16)
    striped = rig.inspect(write_tiff(tmp_path / "striped.tif", pixels))
    tiled = rig.inspect(write_tiff(tmp_path / "tiled.tif", pixels, tiled=True, blockxsize=256, blockysize=128))
    assert [b.checksum for b in striped.bands] == [b.checksum for b in tiled.bands]
    pixels[1, 1099, 1299] += 1
    changed = rig.inspect(write_tiff(tmp_path / "changed.tif", pixels))
    assert changed.bands[0].checksum == striped.bands[0].checksum
    assert changed.bands[1].checksum != striped.bands[1].checksum


@pytest.mark.parametrize(
    ("name", "pixels", "extra", "expected"),
    [
        ("photo.tif", photo(), {"photometric": "RGB"}, RasterType.RGB),
        ("elevation.tif", hills(), {}, RasterType.DEM),
        ("smooth.tif", hills(), {}, RasterType.DEM),
        ("classes.tif", RNG.integers(0, 9, (80, 80), dtype=np.uint8), {}, RasterType.CATEGORICAL),
        ("classes64.tif", RNG.integers(0, 9, (80, 80)).astype(np.float64), {}, RasterType.CATEGORICAL),
        ("palette.tif", photo(1)[0], {"palette": {1: (1, 2, 3)}}, RasterType.CATEGORICAL),
        ("noise.tif", RNG.normal(0.5, 1, (80, 80)).astype(np.float32), {}, RasterType.CONTINUOUS),
        ("s1_vv_vh.tif", RNG.normal(-12, 4, (2, 80, 80)).astype(np.float32), {}, RasterType.SAR),
        ("sentinel2.tif", RNG.integers(0, 9000, (10, 20, 20), dtype=np.uint16), {}, RasterType.MULTISPECTRAL),
        ("reflectance.tif", RNG.random((3, 20, 20), dtype=np.float32), {}, RasterType.MULTISPECTRAL),
        ("naip.tif", photo(4), {"photometric": "RGB", "alpha": "NO"}, RasterType.NIR),
    ],
)  # fmt: skip
def test_the_type_is_seen_from_the_pixels(rig, tmp_path, name, pixels, extra, expected):
    found = rig.inspect(write_tiff(tmp_path / name, pixels, **extra))
    assert found.detection.detected is expected, found.detection
    assert found.raster_type is expected and found.detection.evidence


@pytest.mark.parametrize(
    ("declared", "pixels"),
    [("rgb", hills()), ("dem", photo()), ("categorical", hills()), ("multispectral", hills()), ("nir", photo())],
)
def test_a_declared_type_that_cannot_be_true_is_refused_with_the_reason(rig, tmp_path, declared, pixels):
    path = write_tiff(tmp_path / "wrong.tif", pixels, **({"photometric": "RGB"} if pixels.ndim == 3 else {}))
    with pytest.raises(RasterTypeMismatch, match=rf"wrong\.tif was declared {declared}"):
        rig.inspect(path, raster_type=declared)


def test_a_declared_type_that_can_be_true_is_believed(rig, tmp_path):
    path = write_tiff(tmp_path / "a.tif", RNG.normal(0.5, 1, (80, 80)).astype(np.float32))
    found = rig.inspect(path, raster_type="dem")
    assert (found.raster_type, found.detection.detected) == (RasterType.DEM, RasterType.CONTINUOUS)


def test_a_file_without_crs_is_refused_with_how_to_give_one_and_accepted_with_it(rig, tmp_path):
    path = write_tiff(tmp_path / "nocrs.tif", hills(), crs=None)
    with pytest.raises(CrsMissing, match=r"nocrs\.tif") as refused:
        rig.inspect(path)
    assert "input_crs" in refused.value.hint
    found = rig.inspect(path, input_crs="EPSG:32735")
    assert found.grid.crs == "EPSG:32735" and found.crs_given and "INPUT_CRS_USED" in codes(found)


def test_an_input_crs_that_contradicts_the_file_is_refused_and_one_that_agrees_is_not(rig, tmp_path):
    path = write_tiff(tmp_path / "a.tif", hills())
    with pytest.raises(CrsMismatch, match=r"EPSG:32735.*EPSG:4326"):
        rig.inspect(path, input_crs="EPSG:4326")
    assert not rig.inspect(path, input_crs="EPSG:32735").crs_given
    with pytest.raises(InvalidRequest, match="input_crs"):
        rig.inspect(path, input_crs="EPSG:nonsense")
    with pytest.raises(InvalidRequest, match="target_crs"):
        rig.inspect(path, target_crs="EPSG:999999")


def test_a_local_coordinate_system_is_no_place_on_earth(rig, tmp_path):
    local = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    with pytest.raises(CrsMissing, match="site grid"):
        rig.inspect(write_tiff(tmp_path / "local.tif", hills(), crs=local))


def test_a_raster_without_geotransform_is_refused(rig, tmp_path):
    with pytest.raises(InvalidRaster, match="no georeference"):
        rig.inspect(write_tiff(tmp_path / "a.tif", hills(), transform=None))


def test_a_rotated_grid_is_recognised_and_its_footprint_is_rotated(rig, tmp_path):
    turned = Affine(0.000866, 0.0005, 30, 0.0005, -0.000866, -2)
    found = rig.inspect(write_tiff(tmp_path / "r.tif", hills(), crs="EPSG:4326", transform=turned))
    assert found.georeference is Georeference.ROTATED and "ROTATED_GRID" in codes(found)
    corners = [(30, -2), (30.2598, -1.85), (30.4098, -2.1098), (30.15, -2.2598)]  # of 300 x 300 pixels, by hand
    west, south, east, north = found.grid.bbox
    assert west == pytest.approx(min(x for x, _ in corners)) and east == pytest.approx(max(x for x, _ in corners))
    assert south == pytest.approx(min(y for _, y in corners)) and north == pytest.approx(max(y for _, y in corners))


def test_a_text_file_named_tif_is_unreadable_and_named(rig, tmp_path):
    path = tmp_path / "report.tif"
    path.write_text("Quarterly report\n" * 50)
    with pytest.raises(UnreadableSource, match=r"report\.tif.*not recognized"):
        rig.inspect(path)


def test_a_truncated_file_is_unreadable_and_the_block_is_named(rig, tmp_path):
    whole = write_tiff(tmp_path / "whole.tif", photo(1, 600)[0], tiled=True, blockxsize=256, blockysize=256)
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[:300_000])
    with pytest.raises(UnreadableSource, match=r"band 1, block at row 256, column 256 of .*cut\.tif"):
        rig.inspect(cut)


def test_an_empty_file_and_a_missing_one_are_told_apart(rig, tmp_path):
    empty = tmp_path / "empty.tif"
    empty.touch()
    with pytest.raises(UnreadableSource, match="0 bytes"):
        rig.inspect(empty)
    gone = ValidateRasterInput(blob_name="gone.tif", container_name=CONTAINER)
    with pytest.raises(SourceNotFound, match=r"gone\.tif"):
        handlers.validate(gone, rig.context())


def test_a_virtual_raster_of_another_name_is_refused(rig, tmp_path):
    secret = write_tiff(tmp_path / "secret.tif", hills())
    rasterio.shutil.copy(secret, tmp_path / "renamed.tif", driver="VRT")
    with pytest.raises(UnsupportedFormat, match="description"):
        rig.inspect(tmp_path / "renamed.tif")


def test_a_raster_with_more_pixels_than_allowed_is_refused_before_reading(rig, tmp_path):
    blob = rig.upload(write_tiff(tmp_path / "a.tif", hills()))
    request = ValidateRasterInput(blob_name=blob.path, container_name=CONTAINER, max_pixels=89_999)
    with pytest.raises(InvalidRaster, match="300 x 300 = 90000"):
        handlers.validate(request, rig.context())


def test_complex_values_are_unsupported_and_said_so(rig, tmp_path):
    with pytest.raises(UnsupportedFormat, match="complex"):
        rig.inspect(write_tiff(tmp_path / "slc.tif", np.ones((5, 5), np.complex64)))


def test_a_zip_with_one_raster_is_read_and_one_with_two_lists_them(rig, tmp_path):
    path = write_tiff(tmp_path / "a.tif", hills())
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "inner/a.tif")
        archive.writestr("readme.txt", "hello")
    found = rig.inspect(tmp_path / "one.zip")
    assert found.member == "inner/a.tif" and found.bands[0].checksum == rig.inspect(path).bands[0].checksum
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(path, "a.tif")
        archive.write(path, "b.tif")
    with pytest.raises(AmbiguousLayer, match=r"a\.tif, b\.tif"):
        rig.inspect(tmp_path / "two.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes((tmp_path / "one.zip").read_bytes()[:5000])
    with pytest.raises(UnreadableSource, match=r"broken\.zip"):
        rig.inspect(broken)


def test_wasted_bits_and_undeclared_nodata_are_found_and_strict_mode_refuses_them(rig, tmp_path):
    classes = write_tiff(tmp_path / "classes.tif", RNG.integers(0, 9, (80, 80)).astype(np.float64))
    (finding,) = [f for f in rig.inspect(classes).findings if f.code == "INTEGERS_IN_FLOAT"]
    assert finding.severity is Severity.WARNING and "uint8" in finding.fix
    pixels = hills()
    pixels[:50] = -9999
    undeclared = write_tiff(tmp_path / "dem.tif", pixels)
    assert "UNDECLARED_NODATA" in codes(rig.inspect(undeclared))
    with pytest.raises(InvalidRaster, match=r"strict mode.*-9999"):
        rig.inspect(undeclared, strict_mode=True)
    assert not rig.inspect(write_tiff(tmp_path / "good.tif", hills()), strict_mode=True).findings


def test_band_facts_come_from_the_file(rig, tmp_path):
    path = write_tiff(tmp_path / "a.tif", hills())
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets, dataset.units = [0.1], [5.0], ["m"]
        dataset.set_band_description(1, "height")
        dataset.update_tags(TIFFTAG_DATETIME="2021:04:01 06:57:06")
    found = rig.inspect(path)
    band = found.bands[0]
    assert (band.scale, band.offset, band.unit, band.description) == (0.1, 5.0, "m", "height")
    assert found.acquired == "2021-04-01T06:57:06Z"


def test_reading_stops_between_blocks_when_asked(rig, tmp_path):
    blob = rig.upload(write_tiff(tmp_path / "a.tif", np.zeros((2200, 2200), np.uint8)))
    with pytest.raises(Interrupted):
        handlers.validate(ValidateRasterInput(blob_name=blob.path, container_name=CONTAINER), rig.context(stop_after=0))


def test_nothing_is_written_beside_the_source(rig, tmp_path):
    rig.run(write_tiff(tmp_path / "a.tif", hills()))
    assert rig.stored(CONTAINER) == ["a.tif"]


@pytest.mark.parametrize(("width", "height"), [(1024, 1400), (512, 1400), (2048, 600), (700, 300)])
def test_a_cog_one_of_whose_levels_is_a_tile_wide_is_one(rig: RasterRig, tmp_path: Path, width: int, height: int):
    pixels = np.random.default_rng(1).integers(1, 900, (height, width), dtype=np.uint16)
    made = tmp_path / "made.tif"
    rasterio.shutil.copy(write_tiff(tmp_path / "plain.tif", pixels), made, driver="COG", blocksize=512)
    assert rig.inspect(made).is_cog


@pytest.mark.parametrize("rows", [1, 16, 511])
def test_strips_are_no_tiles_however_wide_they_are(rig: RasterRig, tmp_path: Path, rows: int):
    pixels = np.random.default_rng(1).integers(1, 900, (1400, 512), dtype=np.uint16)
    assert not rig.inspect(write_tiff(tmp_path / "strips.tif", pixels, blockysize=rows)).is_cog
