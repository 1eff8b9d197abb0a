"""Which file is the raster, and with which driver may GDAL open it?

Only a driver that the bytes or the name speak for is tried. VRT, WMS and other descriptions that make GDAL read
something else are refused before it sees them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import rasterio
from rasterio.io import DatasetReader

from core.contracts.storage import BlobName, ObjectStorage
from core.errors import AmbiguousLayer, UnreadableSource, UnsupportedFormat
from services.raster.gdal import reading

_MAGIC = (
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x00\x00\x00\x0cjP  ", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"EHFA_HEADER_TAG", "HFA"),
    (b"GRIB", "GRIB"),
    (b"CDF\x01", "netCDF"),
    (b"CDF\x02", "netCDF"),
    (b"CDF\x05", "netCDF"),
    (b"NITF", "NITF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_SUFFIX = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    ".jp2": "JP2OpenJPEG",
    ".img": "HFA",
    ".hgt": "SRTMHGT",
    ".asc": "AAIGrid",
    ".dem": "USGSDEM",
    ".dt0": "DTED",
    ".dt1": "DTED",
    ".dt2": "DTED",
    ".grib": "GRIB",
    ".grb": "GRIB",
    ".grib2": "GRIB",
    ".grb2": "GRIB",
    ".nc": "netCDF",
}
_STREAMED = frozenset({"GTiff", "JP2OpenJPEG"})
_HEAD = 64
#: Uncompressed bytes of an archive member above which it is taken for a bomb when it also shrinks more than this.
_MEMBER_BYTES, _MEMBER_RATIO = 1 << 30, 200


@dataclass(frozen=True)
class Located:
    """What GDAL is to open: a path, the driver, and the member when the source is an archive."""

    name: BlobName
    path: str
    driver: str
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.name}/{self.member}" if self.member else str(self.name)

    @contextmanager
    def open(self) -> Iterator[DatasetReader]:
        """The dataset, inside a GDAL session of the caller's."""
        with reading(self.name, "open the raster"):
            dataset = rasterio.open(self.path, driver=self.driver)
        with dataset:
            yield dataset


def locate(storage: ObjectStorage, name: BlobName, workdir: Path, *, fetch: bool = False) -> Located:
    """Find the raster behind a blob.

    Archives and formats that GDAL cannot stream are fetched into `workdir`, and with `fetch` everything that is not
    on this machine: for what is read more than once.
    """
    blob = storage.head(name)
    if blob.size == 0:
        raise UnreadableSource(f"{name} is empty (0 bytes).", hint="Upload the file again.")
    head = storage.read(name, length=min(_HEAD, blob.size))
    if head.startswith(_ZIP):
        return _locate_member(storage, name, workdir)
    driver, path = _driver(head, name.suffix, str(name)), storage.gdal_path(name)
    if path.startswith("/vsi") and (fetch or driver not in _STREAMED):
        local = workdir / PurePosixPath(name.path).name
        storage.download(name, local)
        path = str(local)
    return Located(name, path, driver)


def _driver(head: bytes, suffix: str, label: str) -> str:
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"<", b"{"):
        raise UnsupportedFormat(
            f"{label} is a text description (such as VRT), not a raster.",
            hint="Submit the files it refers to, or convert it to GeoTIFF.",
        )
    if head.startswith(_HDF5):
        return "netCDF" if suffix == ".nc" else "HDF5"
    for magic, driver in _MAGIC:
        if head.startswith(magic):
            return driver
    found = _SUFFIX.get(suffix)
    if found is None:
        raise UnsupportedFormat(
            f"{label} is not of a raster format known here.", hint="Convert it to GeoTIFF and submit that."
        )
    return found


def _locate_member(storage: ObjectStorage, name: BlobName, workdir: Path) -> Located:
    archive = workdir / PurePosixPath(name.path).name
    storage.download(name, archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if PurePosixPath(m.filename).suffix.lower() in _SUFFIX]
            if not members:
                raise UnsupportedFormat(f"The archive {name} holds no raster.", hint="Zip one raster file.")
            if len(members) > 1:
                listed = ", ".join(sorted(m.filename for m in members)[:20])
                raise AmbiguousLayer(f"The archive {name} holds {len(members)} rasters: {listed}.", hint="Zip one.")
            member = members[0]
            if member.file_size > max(_MEMBER_BYTES, _MEMBER_RATIO * member.compress_size):
                raise UnsupportedFormat(
                    f"{member.filename} in {name} unpacks to {member.file_size} bytes, {_MEMBER_RATIO} times its size.",
                    hint="Submit the file itself, compressed inside (for example a DEFLATE GeoTIFF).",
                )
            with opened.open(member) as content:
                head = content.read(_HEAD)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:  # damaged, unknown method, encrypted
        raise UnreadableSource(f"The archive {name} cannot be read: {e}") from e
    suffix = PurePosixPath(member.filename).suffix.lower()
    driver = _driver(head, suffix, f"{name}/{member.filename}")
    return Located(name, f"/vsizip/{{{archive}}}/{member.filename}", driver, member.filename)
