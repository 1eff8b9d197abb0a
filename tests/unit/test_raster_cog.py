"""COGs of small rasters that the tests make: valid, true to the pixels, named by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rio_cogeo.cogeo import cog_validate

from core.contracts.raster import CreateCogInput, OutputTier, PixelWindow
from core.contracts.storage import BlobName
from core.errors import Conflict, ContractViolation, Interrupted, InvalidRaster, UnreadableSource
from services.raster import cog, handlers
from services.raster.onepass.eligibility import refusals
from services.raster.views import PixelFacts, Prepared
from services.raster.writing import write
from tests.support.cogs import assert_same, profile
from tests.support.raster import UTM, RasterRig, write_tiff

RNG = np.random.default_rng(11)
SIDE = 1300


@pytest.fixture
def rig(tmp_path: Path) -> RasterRig:
    return RasterRig(tmp_path)


def photo(side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side]
    return np.stack([(x // 6) % 250 + 1, (y // 6) % 250 + 1, ((x + y) // 9) % 250 + 1]).astype(np.uint8)


def dem(side: int = SIDE) -> np.ndarray:
    pixels = RNG.normal(1000, 50, (side, side)).astype(np.float32)
    pixels[:7] = -9999
    return pixels


def classes(side: int = SIDE) -> np.ndarray:
    return np.repeat(np.repeat(RNG.choice([10, 20, 90], (side // 10, side // 10)), 10, 0), 10, 1).astype(np.uint8)


CASES = {
    "rgb.tif": lambda p: write_tiff(p, photo(), photometric="RGB"),
    "dem.tif": lambda p: write_tiff(p, dem(), nodata=-9999),
    "classes.tif": lambda p: write_tiff(p, classes()),
    "palette.tif": lambda p: write_tiff(p, classes(), palette={10: (1, 2, 3), 20: (9, 8, 7)}, nodata=90),
    "masked.tif": lambda p: write_tiff(p, photo(700), mask=(np.tri(700) * 255).astype(np.uint8), photometric="RGB"),
    "many.tif": lambda p: write_tiff(p, RNG.integers(0, 4000, (7, 300, 300), dtype=np.uint16)),
    "double.tif": lambda p: write_tiff(p, RNG.random((300, 300)), nodata=float("nan")),
    "tiny.tif": lambda p: write_tiff(p, np.array([[5]], np.int16)),
    "nocrs.tif": lambda p: write_tiff(p, dem(600), nodata=-9999, crs=None),
}


@pytest.mark.parametrize("tier", [OutputTier.ANALYSIS, OutputTier.ARCHIVE])
@pytest.mark.parametrize("name", CASES)
def test_lossless_tiers_hold_every_pixel_and_what_gives_it_meaning(rig, tmp_path, name, tier):
    path = CASES[name](tmp_path / name)
    done = rig.run(path, output_tier=tier, input_crs="EPSG:32735" if name == "nocrs.tif" else None)
    made = done.made.cogs[0]
    stored = rig.storage.gdal_path(made.blob)
    assert cog_validate(stored, strict=True, quiet=True)[0] and made.lossless
    with rasterio.open(path) as source, rasterio.open(stored) as written:
        np.testing.assert_array_equal(written.read(), source.read())
        np.testing.assert_array_equal(written.dataset_mask(), source.dataset_mask())
        assert written.crs == rasterio.crs.CRS.from_epsg(32735) and written.transform == source.transform
        assert written.dtypes == source.dtypes and written.colorinterp == source.colorinterp
        assert str(written.nodata) == str(source.nodata)
        assert written.block_shapes[0] == (512, 512)
        expected = "DEFLATE" if tier is OutputTier.ANALYSIS else "LZW"
        assert written.compression.name.upper() == expected == made.compression
        if name == "palette.tif":
            assert written.colormap(1)[10] == source.colormap(1)[10] == (1, 2, 3, 255)
        if max(source.shape) > 512:
            assert written.overviews(1) == list(made.overviews) != []


def test_classes_are_never_averaged_in_overviews_and_heights_are(rig, tmp_path):
    with rig.open(rig.run(CASES["classes.tif"](tmp_path / "classes.tif"))) as written:
        small = written.read(1, out_shape=(SIDE // 4, SIDE // 4))
    assert set(np.unique(small)) <= {10, 20, 90}
    pixels = np.tile(np.array([[0, 100], [100, 0]], np.float32), (600, 600)) + RNG.random((1200, 1200), np.float32)
    with rig.open(rig.run(write_tiff(tmp_path / "steps.tif", pixels))) as written:
        small = written.read(1, out_shape=(600, 600))
    assert small.min() > 49 and small.max() < 52


def test_the_predictor_follows_the_kind_of_number(rig, tmp_path):
    expected = {"dem.tif": "3", "rgb.tif": "2", "palette.tif": None}
    for name, predictor in expected.items():
        with rig.open(rig.run(CASES[name](tmp_path / name))) as written:
            assert written.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor, name


def with_holes(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo with nodata 0 in a quarter, without red in another; which of its pixels are there."""
    pixels, half = photo(side), side // 2
    pixels[:, :half, :half] = 0
    pixels[0, half:, half:] = 0
    return pixels, (pixels != 0).any(axis=0)


def test_nodata_becomes_a_mask_on_a_turned_grid_without_leaving_it(rig, tmp_path):
    pixels, there = with_holes(700)
    turned = UTM * UTM.rotation(30)
    path = write_tiff(tmp_path / "turned.tif", pixels, photometric="RGB", nodata=0, transform=turned)
    with rig.open(rig.run(path, output_tier="visualization")) as written:
        assert written.compression.name == "jpeg" and written.nodata is None
        assert (written.transform, written.shape) == (turned, (700, 700))
        assert ((written.dataset_mask() != 0) == there).all()


def test_visualization_is_jpeg_whose_nodata_became_a_mask(rig, tmp_path):
    pixels = photo()
    pixels[:, :300] = 0
    path = write_tiff(tmp_path / "rgb.tif", pixels, photometric="RGB", nodata=0)
    done = rig.run(path, output_tier="visualization", jpeg_quality=90)
    with rig.open(done) as written:
        assert written.compression.name == "jpeg" and written.nodata is None and written.count == 3
        assert written.mask_flag_enums[0] == [MaskFlags.per_dataset]
        np.testing.assert_array_equal(written.dataset_mask() == 0, np.arange(SIDE)[:, None].repeat(SIDE, 1) < 300)
        error = np.abs(written.read()[:, 400:].astype(int) - pixels[:, 400:]).mean()
    assert error < 4 and not done.made.cogs[0].lossless


def test_a_stop_leaves_no_cog_that_nobody_knows_of(rig, tmp_path):
    blob = rig.upload(write_tiff(tmp_path / "rgb.tif", photo(700), photometric="RGB"))
    params = rig.parameters(blob)
    request = params.to_convert(rig.stages(blob, stop_before=1)[0])
    for stop_after in range(1000):
        try:
            handlers.create_cog(request, rig.context(stop_after))
            break
        except Interrupted:
            assert rig.stored() == [], stop_after
    assert stop_after > 3 and len(rig.stored()) == 1


def test_visualization_of_what_jpeg_cannot_hold_is_lossless_and_says_so(rig, tmp_path):
    done = rig.run(CASES["dem.tif"](tmp_path / "dem.tif"), output_tier="visualization")
    assert done.made.cogs[0].compression == "DEFLATE" and done.made.cogs[0].lossless
    assert [f.code for f in done.made.findings] == ["VISUALIZATION_IS_LOSSLESS"]


def test_visualization_of_a_transparent_picture_is_webp_which_keeps_transparency(rig, tmp_path):
    alpha = np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0)
    pixels = np.concatenate([photo(), alpha[None]])
    path = write_tiff(tmp_path / "rgba.tif", pixels, photometric="RGB", ALPHA="YES")
    done = rig.run(path, output_tier="visualization", jpeg_quality=90)
    with rig.open(done) as written:
        assert written.compression.name == "webp" and written.colorinterp[3] is ColorInterp.alpha
        np.testing.assert_array_equal(written.read(4), alpha)
        seen = alpha > 0
        assert np.abs(written.read([1, 2, 3])[:, seen].astype(int) - pixels[:3, seen]).mean() < 4
    assert done.made.cogs[0].compression == "WEBP" and not done.made.cogs[0].lossless
    assert [f.code for f in done.made.findings] == ["VISUALIZATION_IS_WEBP"]
    both = write_tiff(tmp_path / "both.tif", pixels, photometric="RGB", ALPHA="YES", nodata=0)
    fallen = rig.run(both, output_tier="visualization").made
    assert fallen.cogs[0].compression == "DEFLATE" and "both transparency" in fallen.findings[0].message


def test_all_tiers_are_really_made(rig, tmp_path):
    done = rig.run(CASES["rgb.tif"](tmp_path / "rgb.tif"), output_tier="all")
    assert [(c.tier.value, c.compression) for c in done.made.cogs] == [
        ("analysis", "DEFLATE"),
        ("visualization", "JPEG"),
        ("archive", "LZW"),
    ]
    assert len(rig.stored()) == 3 and set(done.item["assets"]) == {"data", "visual", "archive"}


def test_the_name_is_made_from_the_content_and_a_repeat_makes_the_same_file(rig, tmp_path):
    path = CASES["rgb.tif"](tmp_path / "my photo.tif")
    first, second = rig.run(path), rig.run(path)
    made = first.made.cogs[0]
    data = rig.storage.read(made.blob)
    assert made.checksum == hashlib.sha256(data).hexdigest() and made.size_bytes == len(data)
    assert made.blob_name.endswith(f"/my-photo-{made.checksum[:12]}_analysis.tif")
    assert made.container_name == "silver-cogs" and rig.stored() == [made.blob_name]
    assert second.made.cogs[0].checksum == made.checksum


def test_the_source_grid_is_kept_unless_another_is_asked_for(rig, tmp_path):
    path = CASES["dem.tif"](tmp_path / "dem.tif")
    done = rig.run(path, target_crs="EPSG:4326")
    with rig.open(done) as written:
        assert written.crs.to_epsg() == 4326 and written.nodata == -9999
        valid = written.read(1, masked=True)
        assert valid.min() > 600 and valid.max() < 1400
    assert not done.made.cogs[0].lossless and done.item["properties"]["proj:code"] == "EPSG:4326"
    same = rig.run(path, target_crs="EPSG:32735")
    assert same.made.cogs[0].lossless


def test_reprojected_classes_stay_classes_and_empty_corners_are_transparent(rig, tmp_path):
    path = write_tiff(tmp_path / "classes.tif", classes(600), transform=UTM)
    with rig.open(rig.run(path, target_crs="ESRI:54009")) as written:
        assert written.count == 2 and written.colorinterp[1] is ColorInterp.alpha
        seen = written.read(1)[written.read(2) > 0]
        assert set(np.unique(seen)) <= {10, 20, 90} and (written.read(2) == 0).any()


def test_an_internal_mask_survives_reprojection(rig, tmp_path):
    mask = np.zeros((700, 700), np.uint8)
    mask[:350] = 255
    path = write_tiff(tmp_path / "masked.tif", photo(700), mask=mask, photometric="RGB")
    with rig.open(rig.run(path, target_crs="EPSG:3857")) as written:
        shown = written.dataset_mask()
        third = written.height // 3
        assert (shown[10:third, 50:-50] == 255).all() and (shown[2 * third :] == 0).all()


def test_a_raster_across_the_antimeridian_keeps_its_own_grid(rig, tmp_path):
    transform = rasterio.transform.from_origin(600_000, 5_800_000, 1000, 1000)
    path = write_tiff(tmp_path / "fiji.tif", dem(240), crs="EPSG:32660", transform=transform, nodata=-9999)
    done = rig.run(path)
    west, _, east, _ = done.result.stac.bbox
    assert west > east and done.item["geometry"]["type"] == "MultiPolygon"
    assert (done.record.bbox_minx, done.record.bbox_maxx) == (-180.0, 180.0)
    with pytest.raises(InvalidRaster, match="antimeridian"):
        rig.run(path, target_crs="EPSG:4326")


def test_control_points_become_a_regular_grid(rig, tmp_path):
    path = tmp_path / "gcps.tif"
    points = [rasterio.control.GroundControlPoint(r, c, 30 + c / 100, -2 - r / 100) for r in (0, 90) for c in (0, 90)]
    pixels = RNG.integers(1, 900, (90, 90), dtype=np.uint16)
    with rasterio.open(path, "w", driver="GTiff", count=1, width=90, height=90, dtype="uint16", gcps=points,
                       crs="EPSG:4326") as out:  # fmt: skip
        out.write(pixels, 1)
    done = rig.run(path)
    assert done.inspection.georeference.value == "gcps" and not done.made.cogs[0].lossless
    assert done.result.stac.bbox == pytest.approx((30.0, -2.9, 30.9, -2.0), abs=0.02)


def test_a_source_replaced_after_validation_is_not_converted(rig, tmp_path):
    blob = rig.upload(CASES["rgb.tif"](tmp_path / "rgb.tif"))

    def replace(stage: int) -> None:
        if stage == 0:
            rig.upload(write_tiff(tmp_path / "other.tif", photo(50)), "rgb.tif")

    with pytest.raises(Conflict, match="replaced"):
        rig.stages(blob, between=replace)
    assert rig.stored() == []


@pytest.mark.parametrize("asked", [0, 1, 2, 3, 4])
def test_an_attempt_stopped_at_any_phase_leaves_nothing_in_storage(rig, tmp_path, asked):
    blob = rig.upload(CASES["rgb.tif"](tmp_path / "rgb.tif"))
    (inspection,) = rig.stages(blob, stop_before=1)
    params = CreateCogInput(dataset=rig.parameters(blob).dataset, inspection=inspection)
    with pytest.raises(Interrupted):
        handlers.create_cog(params, rig.context(stop_after=asked))
    assert rig.stored() == []


def test_a_cog_that_lost_a_pixel_is_found_out(rig, tmp_path):
    pixels = photo(300)
    (inspection,) = rig.stages(rig.upload(write_tiff(tmp_path / "a.tif", pixels, photometric="RGB")), stop_before=1)
    pixels[2, 299, 299] += 1
    other = write_tiff(tmp_path / "b.tif", pixels, photometric="RGB")
    rasterio.shutil.copy(other, tmp_path / "cog.tif", driver="COG", compress="DEFLATE")
    expected = PixelFacts((None,) * 3, tuple(band.checksum for band in inspection.bands), None)
    with pytest.raises(ContractViolation, match="pixels of its source"):
        cog.verify(tmp_path / "cog.tif", inspection.source, expected, lambda _: None)
    with pytest.raises(ContractViolation, match="not valid"):
        cog.verify(write_tiff(tmp_path / "c.tif", photo(), photometric="RGB"), inspection.source, None, lambda _: None)


def test_progress_only_grows(rig, tmp_path):
    blob = rig.upload(CASES["rgb.tif"](tmp_path / "rgb.tif"))
    (inspection,) = rig.stages(blob, stop_before=1)
    ctx = rig.context()
    params = CreateCogInput(dataset=rig.parameters(blob).dataset, inspection=inspection, output_tier=OutputTier.ALL)
    handlers.create_cog(params, ctx)
    percents = [percent for percent, _ in ctx.progress]
    assert percents == sorted(percents) and percents[-1] == 100.0 and len(percents) > 10


@pytest.mark.parametrize("name", ["rgb.tif", "dem.tif", "palette.tif", "masked.tif"])
def test_a_window_becomes_a_cog_of_its_own(rig, tmp_path, name):
    path = CASES[name](tmp_path / name)
    (inspection,) = rig.stages(rig.upload(path), stop_before=1)
    part = PixelWindow(column=40, row=30, width=601, height=530)
    dataset = rig.parameters(inspection.source).dataset
    params = CreateCogInput(dataset=dataset, inspection=inspection, window=part)
    (made,) = handlers.create_cog(params, rig.context()).cogs
    pixels = rasterio.windows.Window(40, 30, 601, 530)
    with rasterio.open(path) as source, rasterio.open(rig.storage.gdal_path(made.blob)) as written:
        np.testing.assert_array_equal(written.read(), source.read(window=pixels))
        np.testing.assert_array_equal(written.dataset_mask(), source.dataset_mask(window=pixels))
        assert written.transform == source.window_transform(pixels) and written.crs == source.crs
        assert written.colorinterp == source.colorinterp and written.nodata == source.nodata
        valid = source.read(1, window=pixels, masked=True)
        assert (made.statistics[0].minimum, made.statistics[0].maximum) == (valid.min(), valid.max())
        assert made.statistics[0].mean == pytest.approx(valid.mean(dtype=float))
    assert made.window == part and "-r30-c40-" in made.blob_name and made.lossless
    outside = part.model_copy(update={"column": 1000})
    with pytest.raises(InvalidRaster, match="leaves"):
        handlers.create_cog(params.model_copy(update={"window": outside}), rig.context())


MOSAIC = """<VRTDataset rasterXSize="1400" rasterYSize="700">{srs}
  <GeoTransform>500000, 10, 0, 9800000, 0, -10</GeoTransform>
  <VRTRasterBand dataType="UInt16" band="1"><NoDataValue>0</NoDataValue>
    <SimpleSource><SourceFilename relativeToVRT="1">plain.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
    <SimpleSource><SourceFilename relativeToVRT="1">b.tif</SourceFilename><SourceBand>1</SourceBand>
      <SrcRect xOff="10" yOff="20" xSize="600" ySize="500"/><DstRect xOff="800" yOff="100" xSize="600" ySize="500"/>
    </SimpleSource>
    <ComplexSource><SourceFilename relativeToVRT="1">b.tif</SourceFilename><SourceBand>1</SourceBand>
      <SrcRect xOff="0" yOff="0" xSize="60" ySize="40"/><DstRect xOff="700" yOff="500" xSize="120" ySize="80"/>
      <ScaleOffset>7</ScaleOffset><ScaleRatio>2</ScaleRatio>
    </ComplexSource>
  </VRTRasterBand>{mask}
</VRTDataset>"""
MASK = """<MaskBand><VRTRasterBand dataType="Byte">
    <SimpleSource><SourceFilename relativeToVRT="1">mask.tif</SourceFilename><SourceBand>1</SourceBand>
      <DstRect xOff="500" yOff="0" xSize="900" ySize="700"/></SimpleSource>
  </VRTRasterBand></MaskBand>"""


@pytest.mark.parametrize("mask", ["", MASK])
@pytest.mark.parametrize(("srs", "options"), [("<SRS>EPSG:32735</SRS>", {}), ("", {"input_crs": "EPSG:32736"})])
def test_a_window_of_a_vrt_holds_the_pixels_that_the_vrt_has_there(rig, tmp_path, mask, srs, options):
    for name in ("plain.tif", "b.tif"):
        rig.upload(write_tiff(tmp_path / name, RNG.integers(1, 9000, (700, 700), dtype=np.uint16)))
    rig.upload(write_tiff(tmp_path / "mask.tif", RNG.choice(np.array([0, 255], np.uint8), (700, 900))))
    (tmp_path / "all.vrt").write_text(MOSAIC.format(mask=mask, srs=srs))
    inspection = rig.inspect(tmp_path / "all.vrt", **options)
    dataset = rig.parameters(inspection.source).dataset
    part = PixelWindow(column=650, row=60, width=640, height=600)
    params = CreateCogInput(dataset=dataset, inspection=inspection, window=part)
    (made,) = handlers.create_cog(params, rig.context()).cogs
    pixels = rasterio.windows.Window(650, 60, 640, 600)
    with rasterio.open(tmp_path / "all.vrt") as source, rasterio.open(rig.storage.gdal_path(made.blob)) as written:
        np.testing.assert_array_equal(written.read(), source.read(window=pixels))
        np.testing.assert_array_equal(written.dataset_mask(), source.dataset_mask(window=pixels))
        assert written.transform == source.window_transform(pixels) and written.nodata == 0


def test_windows_of_a_reprojected_raster_meet_within_a_fraction_of_a_pixel(rig, tmp_path):
    y, x = np.mgrid[0:1300, 0:1300]
    path = write_tiff(tmp_path / "plane.tif", (x + 2 * y).astype(np.float32), nodata=-9999)
    (inspection,) = rig.stages(rig.upload(path), stop_before=1)
    params = CreateCogInput(
        dataset=rig.parameters(inspection.source).dataset, inspection=inspection, target_crs="EPSG:4326"
    )
    (whole,) = handlers.create_cog(params, rig.context()).cogs
    part = PixelWindow(column=333, row=200, width=500, height=400)
    (tile,) = handlers.create_cog(params.model_copy(update={"window": part}), rig.context()).cogs
    pixels = rasterio.windows.Window(333, 200, 500, 400)
    with (
        rasterio.open(rig.storage.gdal_path(whole.blob)) as one,
        rasterio.open(rig.storage.gdal_path(tile.blob)) as two,
    ):
        # GDAL's warper may be an eighth of a pixel off, in either file; a pixel is worth 3 here.
        np.testing.assert_allclose(two.read(), one.read(window=pixels), rtol=0, atol=0.25 * 3)
        assert two.transform.almost_equals(one.window_transform(pixels), 1e-9)
    assert tile.band_checksums != whole.band_checksums and not tile.lossless


def test_a_level_that_is_one_tile_wide_is_no_error(rig, tmp_path):
    path = write_tiff(tmp_path / "strip.tif", RNG.integers(0, 255, (2200, 1024), dtype=np.uint8))
    with rig.open(rig.run(path)) as written:
        assert written.overviews(1) == [2, 4, 8]


@pytest.mark.parametrize("by_driver", [False, True])
def test_a_block_that_cannot_be_read_while_converting_is_named_and_nothing_is_left(tmp_path, by_driver):
    kind = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "DEFLATE"}
    mask = np.full((600, 600), 255, np.uint8) if by_driver else None
    path = write_tiff(tmp_path / "a.tif", RNG.integers(0, 255, (600, 600), dtype=np.uint8), mask=mask, **kind)
    with rasterio.open(path) as source:
        offset = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset + 50)
        file.write(b"\xff" * 2000)
    with rasterio.open(path) as source:
        assert any(refusals(source, profile())) == by_driver
        prepared = Prepared(source, BlobName("bronze-rasters", "a.tif"), True, PixelFacts((None,), ("?",), None))
        with pytest.raises(UnreadableSource, match=r"band 1, block at row 256, column 256 of bronze-rasters/a\.tif"):
            write(prepared, profile(), tmp_path / "cog.tif", lambda _: None)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("cog") and p.suffix != ".vrt"] == []


def falling(side: int = SIDE) -> np.ndarray:
    """Heights with noise and a hole."""
    y, x = np.mgrid[0:side, 0:side]
    pixels = (x + 2 * y + RNG.normal(0, 5, (side, side))).astype(np.float32)
    pixels[200:300, 500:900] = -9999
    return pixels


WARPS = {
    "to degrees": ({"nodata": -9999}, {"target_crs": "EPSG:4326"}),
    "to another zone": ({"nodata": -9999}, {"target_crs": "EPSG:32736"}),
    "north up": ({"transform": rasterio.Affine(10, 0, 500_000, 0, 10, 9_800_000)}, {}),
}


@pytest.mark.parametrize("tier", [OutputTier.ANALYSIS, OutputTier.ARCHIVE])
@pytest.mark.parametrize("name", WARPS)
def test_a_warp_read_by_the_writer_gives_the_cog_that_a_warp_on_disk_gives(rig, tmp_path, name, tier):
    made, asked = WARPS[name]
    blob = rig.upload(write_tiff(tmp_path / "heights.tif", falling(), **made))
    (inspection,) = rig.stages(blob, stop_before=1)
    dataset = rig.parameters(blob).dataset
    params = CreateCogInput(dataset=dataset, inspection=inspection, output_tier=tier, **asked)
    alone, together = rig.context(), rig.context()
    (direct,) = handlers.create_cog(params, alone).cogs
    several = handlers.create_cog(params.model_copy(update={"output_tier": OutputTier.ALL}), together).cogs
    assert not (alone.workdir / "warped.tif").exists() and (together.workdir / "warped.tif").exists()
    (stored,) = [cog for cog in several if cog.tier is tier]
    assert_same(*(Path(rig.storage.gdal_path(cog.blob)) for cog in (direct, stored)))
    assert (direct.band_checksums, direct.statistics) == (stored.band_checksums, stored.statistics)
    assert direct.statistics[0].valid_percent < 100 or name == "north up"


@pytest.mark.parametrize("tier", [OutputTier.ANALYSIS, OutputTier.ALL])
def test_a_block_that_cannot_be_read_while_warping_is_an_unreadable_source(rig, tmp_path, tier):
    kind = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "DEFLATE", "nodata": -9999}
    path = write_tiff(tmp_path / "heights.tif", falling(600), **kind)
    (inspection,) = rig.stages(rig.upload(path), stop_before=1)
    with rasterio.open(path) as source:
        offset = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    broken = Path(rig.storage.gdal_path(inspection.source))
    with broken.open("r+b") as file:
        file.seek(offset + 50)
        file.write(b"\xff" * 2000)
    etag = rig.storage.head(inspection.source).etag
    params = CreateCogInput(
        dataset=rig.parameters(inspection.source).dataset,
        inspection=inspection.model_copy(update={"etag": etag}),
        output_tier=tier,
        target_crs="EPSG:4326",
    )
    with pytest.raises(UnreadableSource, match=r"heights\.tif"):
        handlers.create_cog(params, rig.context())
    assert rig.stored() == []
