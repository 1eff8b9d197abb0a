"""Which formats are read, which of several rasters in a file, and what a description may name."""

from __future__ import annotations

import base64
import zipfile
import zlib
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from rasterio.transform import from_origin

from core.contracts import raster_formats
from core.contracts.storage import BlobName
from core.errors import AmbiguousLayer, CrsMissing, SourceNotFound, UnreadableSource, UnsupportedFormat
from tests.support.raster import CONTAINER, RasterRig, write_tiff

RNG = np.random.default_rng(11)
DEGREES = from_origin(30.0, -1.0, 0.01, 0.01)
#: Extension, driver that writes it, type of number; what the format itself cannot say of its place is given.
FORMATS = [
    (".asc", "AAIGrid", "float32"),
    (".bt", "BT", "int16"),
    (".grd", "GSAG", "float32"),
    (".grd", "GSBG", "float32"),
    (".grd", "GS7BG", "float64"),
    (".gtx", "GTX", "float32"),
    (".img", "HFA", "float32"),
    (".jp2", "JP2OpenJPEG", "uint16"),
    (".map", "PCRaster", "float32"),
    (".nc", "netCDF", "float32"),
    (".ntf", "NITF", "uint8"),
    (".tif", "GTiff", "float32"),
    (".xyz", "XYZ", "float32"),
    (".zmap", "ZMap", "float32"),
]


@pytest.fixture
def rig(tmp_path: Path) -> RasterRig:
    return RasterRig(tmp_path)


def picture(folder: Path, dtype: str) -> Path:
    pixels = RNG.integers(1, 200, (40, 40)).astype(dtype)
    return write_tiff(folder / f"plain-{dtype}.tif", pixels, crs="EPSG:4326", transform=DEGREES)


@pytest.mark.parametrize(("suffix", "driver", "dtype"), FORMATS)
def test_a_format_that_gdal_writes_is_read_back_pixel_by_pixel(rig, tmp_path, suffix, driver, dtype):
    source = picture(tmp_path, dtype)
    made = tmp_path / f"made{suffix}"
    rasterio.shutil.copy(
        source, made, driver=driver, **({"REVERSIBLE": "YES", "QUALITY": "100"} if "JP2" in driver else {})
    )
    with rasterio.open(made, driver=driver) as opened:
        expected, bounds = opened.read(), opened.bounds
    try:
        done = rig.run(made)
    except CrsMissing:  # the format has no place for one
        done = rig.run(made, input_crs="EPSG:4326")
    assert done.inspection.driver == driver
    with rig.open(done) as written:
        assert (written.read() == expected).all()
        assert written.bounds == pytest.approx(
            (bounds.left, min(bounds[1], bounds[3]), bounds.right, max(bounds[1], bounds[3]))
        )


def test_every_extension_names_a_driver_that_is_in_the_wheel():
    with rasterio.Env() as env:
        known = set(env.drivers())
    assert {*raster_formats.SUFFIXES.values(), *(d for _, d in raster_formats.MAGIC)} <= known
    assert known.issuperset(raster_formats.RECOGNISED) and known.issuperset(raster_formats.IN_ARCHIVE.values())


def test_a_file_without_extension_is_recognised_by_its_bytes_or_refused(rig, tmp_path):
    made = tmp_path / "heights"
    rasterio.shutil.copy(picture(tmp_path, "float32"), made, driver="XYZ")
    assert rig.inspect(made, input_crs="EPSG:4326").driver == "XYZ"
    noise = tmp_path / "noise.bin"
    noise.write_bytes(RNG.integers(0, 255, 5000, dtype=np.uint8).tobytes())
    with pytest.raises(UnreadableSource, match=r"noise\.bin"):
        rig.inspect(noise)


def test_a_zarr_store_is_read_as_a_folder_and_from_a_zip(rig, tmp_path):
    store = tmp_path / "cube.zarr"
    rasterio.shutil.copy(picture(tmp_path, "float32"), store, driver="Zarr")
    with zipfile.ZipFile(tmp_path / "cube.zarr.zip", "w") as archive:
        for part in (p for p in store.rglob("*") if p.is_file()):
            rig.storage.upload(part, BlobName(CONTAINER, f"in/cube.zarr/{part.relative_to(store)}"))
            archive.write(part, f"cube.zarr/{part.relative_to(store)}")
    folder = rig.process(BlobName(CONTAINER, "in/cube.zarr"))
    zipped = rig.run(tmp_path / "cube.zarr.zip")
    with rasterio.open(picture(tmp_path, "float32")) as plain:
        shape = plain.shape
    for done in (folder, zipped):
        assert done.inspection.driver == "Zarr" and (done.inspection.grid.height, done.inspection.grid.width) == shape
    assert folder.inspection.bands[0].checksum == zipped.inspection.bands[0].checksum
    rig.storage.put(b"{}", BlobName(CONTAINER, "other.zarr/readme.txt"))
    with pytest.raises(UnsupportedFormat, match="no Zarr store"):
        rig.process(BlobName(CONTAINER, "other.zarr"))
    with pytest.raises(SourceNotFound, match=r"absent\.zarr"):
        rig.process(BlobName(CONTAINER, "absent.zarr"))


def several(folder: Path) -> Path:
    """A GeoTIFF of two pages, each a raster of its own."""
    path = folder / "pages.tif"
    rasterio.shutil.copy(picture(folder, "uint8"), path, driver="GTiff")
    rasterio.shutil.copy(picture(folder, "uint8"), path, driver="GTiff", APPEND_SUBDATASET="YES")
    return path


def test_one_of_several_rasters_is_chosen_by_name_and_a_wrong_name_lists_them(rig, tmp_path):
    path = several(tmp_path)
    assert rig.inspect(path, variable="2").variable == "2"
    with pytest.raises(AmbiguousLayer, match="no raster named 'rain'; it holds: 1, 2"):
        rig.inspect(path, variable="rain")


def test_an_archive_of_several_rasters_is_asked_for_one_by_name(rig, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a", "b"):
            archive.write(write_tiff(tmp_path / f"{name}.tif", RNG.random((9, 9)).astype(np.float32)), f"in/{name}.tif")
        archive.writestr("in/preview.png", b"\x89PNG")
    with pytest.raises(AmbiguousLayer, match=r"in/a\.tif, in/b\.tif"):
        rig.inspect(tmp_path / "two.zip")
    assert rig.inspect(tmp_path / "two.zip", variable="b.tif").member == "in/b.tif"


@pytest.mark.parametrize(
    ("name", "says"),
    [("../evil.tif", "outside itself"), ("/etc/x.tif", "outside itself"), ("inner.zip", "only archives")],
)
def test_an_archive_that_reaches_out_or_holds_another_is_refused(rig, tmp_path, name, says):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"II*\x00" + bytes(100))
    with pytest.raises(UnsupportedFormat, match=says):
        rig.inspect(tmp_path / "a.zip")


def test_a_member_that_unpacks_to_a_multiple_of_memory_is_taken_for_a_bomb(rig, tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("bomb.tif", "w", force_zip64=True) as member,
    ):
        for _ in range(1100):
            member.write(bytes(1 << 20))
    assert (tmp_path / "bomb.zip").stat().st_size < 2 << 20
    with pytest.raises(UnsupportedFormat, match="200 times its size"):
        rig.inspect(tmp_path / "bomb.zip")


#: Made with h5py: data in /etc/hostname (in the old and the new layout), a link into another file, a virtual dataset.
REFERRING = {
    "old": (
        "external data",
        "eNrr9HBx4+WS4mIAAQ4OBhYGAQZk8B8KNrCi8mHyCVCaEUp3QOkVTDBxRrCcBFRcEGo+urqQIFdXkOr/aABmTwYLhOZgGAUjEXi4"
        "OgaA6AgoH5ZKTzChqstJTcxGTo8eFNrLyMAGMYsRxteA0EwQAWiyhKdLdD4z0KWMUPcyIsmwAmkQn4kJYhA70FxGqBpQjjHAkd5h"
        "+YIDmqOYGWEiCmgqA2gaDxJo+T6ABVWdfmpJsn5GfnFJXmJuKpAf7OfvAvIXzD8KzKNpmhwAAKJwRJQ=",
    ),
    "new": (
        "external data",
        "eNrr9HBx4+WS4mLm4GCAgf9Q8J0RwjeAii/NEfX193AJYmKoYBJCVggDXEwMQC1s/AxAiiUnNTF7M8xIVwbqgKCKZzxgJzAyMDKq"
        "MDAwMTEyskDlYB5A5zPzMDAKMIDcBBFlBbqSmYtdA2gCWJSRYT8jqg70gOAA+paZEcZTgEnXMAwoWHwztsDD1TEAxJaAikE9wnCf"
        "EVWtfmpJsn5GfnFJXmJuKpAPACwIPxA=",
    ),
    "link": (
        "external links",
        "eNrr9HBx4+WS4mIAAQ4OBhYGAQZk8B8KGphR+TD5BCjNCKU7oPQKJpg4C1hOAiouADVfgRlVf0iQqyuy+ej2jIKRDTxcHQNAdASU"
        "zwGlTzChqoOlwwAq2csET7nYUyYX0CWMSOrZGDQg7uBwYKyQZmDQL8kt0C/XzzDVL8hJzMzTzc9J0cswZdBPgaoHAM3xQWI=",
    ),
    "vds": (
        "virtual datasets",
        "eNrr9HBx4+WS4mLm4GCAgf9QwCAB4RtAxR07O9n9PVyCmBgqmISQFcIAFxMDIwMDGw8DkGIs2wwzz4OBaqCtRO0O2AmKZWxs2ciY"
        "gZFRhYGBiYmRkQWqFuYhdD4zDwOjAAdMXIGBFehqZm4OPqAIM0wRI4hYwzCkwKdpTFsYRsEoGAWjYBSMAmKAu7O/D7iyE0Cq+IAg"
        "BKYAJqBfklugX66fYapfkJOYmaebn5Oil2HKkMLAjKQIBJhAVSxIjIkJagAjuKoF0RwMi1MCPiLb38E/GgejYBSMglEwCkbBKBgF"
        "o2AUjIJRMApGAa0BADOoNZA=",
    ),
}


@pytest.mark.parametrize("kind", REFERRING)
@pytest.mark.parametrize("suffix", [".h5", ".nc"])
def test_an_hdf5_file_that_reads_others_is_refused_before_its_library_sees_it(rig, tmp_path, kind, suffix):
    what, packed = REFERRING[kind]
    path = tmp_path / f"{kind}{suffix}"
    path.write_bytes(zlib.decompress(base64.b64decode(packed)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, path.name)
    for source in (path, tmp_path / "a.zip"):
        with pytest.raises(UnsupportedFormat, match=f"reads other files: it has {what}") as refused:
            rig.inspect(source)
        assert path.name in str(refused.value)


def test_an_hdf5_file_hidden_behind_other_bytes_is_not_opened(rig, tmp_path):
    hidden = tmp_path / "hidden.h5"
    hidden.write_bytes(bytes(512) + zlib.decompress(base64.b64decode(REFERRING["old"][1])))
    with pytest.raises(UnreadableSource, match="does not begin as"):
        rig.inspect(hidden)
    hidden.rename(tmp_path / "hidden.bin")
    with pytest.raises(UnreadableSource, match="not recognized"):
        rig.inspect(tmp_path / "hidden.bin")


def test_a_netcdf_file_in_a_zip_is_read_like_the_file_itself(rig, tmp_path):
    made = tmp_path / "cube.nc"
    rasterio.shutil.copy(picture(tmp_path, "float32"), made, driver="netCDF", FORMAT="NC4")
    with zipfile.ZipFile(tmp_path / "cube.zip", "w") as archive:
        archive.write(made, "cube.nc")
    plain, zipped = rig.inspect(made), rig.inspect(tmp_path / "cube.zip")
    assert zipped.driver == "netCDF" and zipped.member == "cube.nc"
    assert plain.bands[0].checksum == zipped.bands[0].checksum


def vrt(source: str, *, relative: str = "1", band: str = "", extra: str = "", kind: str = "SimpleSource") -> str:
    return f"""<VRTDataset rasterXSize="40" rasterYSize="40">
  <SRS>EPSG:4326</SRS><GeoTransform>30, 0.01, 0, -1, 0, -0.01</GeoTransform>{extra}
  <VRTRasterBand dataType="Byte" band="1"{band}>
    <{kind}><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand></{kind}>
  </VRTRasterBand>
</VRTDataset>"""


def test_a_vrt_of_files_beside_it_is_read_and_a_change_of_one_is_noticed(rig, tmp_path):
    source = picture(tmp_path, "uint8")
    rig.upload(source, "set/parts/a.tif")
    name = BlobName(CONTAINER, "set/all.vrt")
    rig.storage.put(vrt("parts/a.tif").encode(), name)
    done = rig.process(name)
    with rasterio.open(source) as plain, rig.open(done) as written:
        assert (plain.read() == written.read()).all() and done.inspection.driver == "VRT"
    rig.upload(write_tiff(tmp_path / "b.tif", np.ones((40, 40), np.uint8)), "set/parts/a.tif")
    assert rig.process(name).inspection.etag != done.inspection.etag


REACHING = {
    "an absolute path": vrt("/etc/hostname"),
    "an absolute path said to be relative": vrt("/etc/passwd", relative="1"),
    "a path from the working directory": vrt("a.tif", relative="0"),
    "another address": vrt("/vsicurl/http://example.org/a.tif"),
    "an address without a slash": vrt("http://example.org/a.tif"),
    "the folder above": vrt("../other/a.tif"),
    "the folder above, hidden": vrt("parts/../../a.tif"),
    "another container": vrt("../../bronze-secret/a.tif"),
    "a Windows path": vrt("C:\\\\data\\\\a.tif"),
    "a driver's own syntax": vrt("NETCDF:a.nc:pr"),
    "another VRT": vrt("other.vrt"),
    "a pixel function": vrt("a.tif", band=' subClass="VRTDerivedRasterBand"'),
    "Python": vrt("a.tif", extra="<PixelFunctionLanguage>Python</PixelFunctionLanguage>"),
    "a raw band": vrt("a.tif", band=' subClass="VRTRawRasterBand"'),
    "a warp": '<VRTDataset rasterXSize="1" rasterYSize="1" subClass="VRTWarpedDataset"></VRTDataset>',
    "options of a driver": vrt("a.tif", kind="SimpleSource", extra="<OpenOptions><OOI key='X'>1</OOI></OpenOptions>"),
    "an array": vrt("a.tif", kind="ArraySource"),
    "nothing": '<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>',
    "an entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + vrt("a.tif", extra="<MDI>&e;</MDI>"),
    "a service": "<GDAL_WMS><Service name='TMS'/></GDAL_WMS>",
}


@pytest.mark.parametrize("kind", REACHING)
def test_a_vrt_that_reaches_for_more_than_its_files_is_refused_before_gdal_sees_it(rig, tmp_path, kind):
    rig.upload(picture(tmp_path, "uint8"), "set/a.tif")
    name = BlobName(CONTAINER, "set/all.vrt")
    rig.storage.put(REACHING[kind].encode(), name)
    with pytest.raises(UnsupportedFormat, match=r"set/all\.vrt") as refused:
        rig.process(name)
    assert refused.value.hint and rig.stored() == []


def test_a_source_of_a_vrt_must_exist_and_be_a_raster_itself(rig, tmp_path):
    name = BlobName(CONTAINER, "all.vrt")
    rig.storage.put(vrt("gone.tif").encode(), name)
    with pytest.raises(SourceNotFound, match=r"gone\.tif, which bronze-rasters/all\.vrt names"):
        rig.process(name)
    rig.storage.put(vrt("inner.tif").encode(), name)
    rig.storage.put(vrt("/etc/passwd").encode(), BlobName(CONTAINER, "inner.tif"))
    with pytest.raises(UnsupportedFormat, match=r"inner\.tif"):
        rig.process(name)
    rig.storage.put(b"<VRTDataset><broken", name)
    with pytest.raises(UnreadableSource, match="well-formed"):
        rig.process(name)


def tile_index(folder: Path, location: Path) -> Path:
    """A GeoPackage by which GDAL's GTI driver reads the raster at `location`, wherever that is."""
    path = folder / "x.gti.gpkg"
    corners = np.array([shapely.box(30, -1.4, 30.4, -1)])
    pyogrio.write_dataframe(
        geopandas.GeoDataFrame({"location": [str(location)]}, geometry=corners, crs="EPSG:4326"), path, layer="index"
    )
    return path


def hdf5(folder: Path, _: Path) -> Path:
    (folder / "x.h5").write_bytes(zlib.decompress(base64.b64decode(REFERRING["link"][1])))
    return folder / "x.h5"


def imagine(folder: Path, location: Path) -> Path:
    rasterio.shutil.copy(location, folder / "x.img", driver="HFA")
    return folder / "x.img"


@pytest.mark.parametrize("made", [tile_index, hdf5, imagine])
def test_a_source_of_a_vrt_in_a_format_that_may_name_other_files_is_refused(rig, tmp_path, made):
    source = made(tmp_path, picture(tmp_path, "uint8"))
    rig.upload(source, f"set/{source.name}")
    name = BlobName(CONTAINER, "set/all.vrt")
    rig.storage.put(vrt(source.name).encode(), name)
    with pytest.raises(UnsupportedFormat, match=rf"set/{source.name}, which .*all\.vrt names,") as refused:
        rig.process(name)
    assert refused.value.hint and rig.stored() == []


@pytest.mark.parametrize(("suffix", "driver"), [(".jp2", "JP2OpenJPEG"), (".png", "PNG"), (".jpg", "JPEG")])
def test_a_vrt_of_a_picture_that_holds_its_own_pixels_is_read(rig, tmp_path, suffix, driver):
    made = tmp_path / f"a{suffix}"
    rasterio.shutil.copy(picture(tmp_path, "uint8"), made, driver=driver)
    rig.upload(made, f"a{suffix}")
    name = BlobName(CONTAINER, "all.vrt")
    rig.storage.put(vrt(f"a{suffix}").encode(), name)
    with rasterio.open(made) as plain, rig.open(rig.process(name)) as written:
        assert (plain.read() == written.read()).all()
