"""From a blob to a file or folder that a reader can open."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from core.contracts.storage import BlobName, ObjectStorage
from core.contracts.vector_formats import VectorFormat
from core.errors import UnreadableSource
from services.vector import archives

#: What lies beside the file that is named, under the same name.
_SIBLINGS: dict[VectorFormat, tuple[str, ...]] = {
    VectorFormat.SHAPEFILE: (".shp", ".shx", ".dbf", ".prj", ".cpg"),
    VectorFormat.MAPINFO: (".tab", ".dat", ".map", ".id", ".ind", ".mif", ".mid"),
}
_REQUIRED_PARTS = (".shp", ".shx", ".dbf")

_MAGIC: dict[VectorFormat, tuple[bytes, str]] = {
    VectorFormat.GPKG: (b"SQLite format 3\x00", "a GeoPackage"),
    VectorFormat.FLATGEOBUF: (b"fgb", "a FlatGeobuf file"),
    VectorFormat.SHAPEFILE: (b"\x00\x00\x27\x0a", "a shapefile"),
    VectorFormat.PARQUET: (b"PAR1", "a Parquet file"),
    VectorFormat.KMZ: (b"PK", "a KMZ archive"),
    VectorFormat.ZIP: (b"PK", "a zip archive"),
    VectorFormat.FILEGDB: (b"PK", "a zipped file geodatabase"),
    VectorFormat.XLSX: (b"PK", "a workbook"),
}
_JSON = (VectorFormat.GEOJSON, VectorFormat.GEOJSONSEQ)
_XML = (VectorFormat.KML, VectorFormat.GML, VectorFormat.GPX)
_ARCHIVES = (VectorFormat.ZIP, VectorFormat.FILEGDB)
_ZIPPED = (VectorFormat.KMZ, VectorFormat.XLSX)


def fetch(storage: ObjectStorage, name: BlobName, declared: VectorFormat, folder: Path) -> Path:
    """The blob, with a shapefile's siblings, below `folder`: a file, or the folder of an unpacked archive.

    Raises UnreadableSource when the content is not what the extension says, before any reader sees it.
    """
    inbox = folder / "source"
    inbox.mkdir(parents=True, exist_ok=True)
    if declared in _SIBLINGS:
        path = _fetch_with_siblings(storage, name, _SIBLINGS[declared], inbox)
    else:
        path = inbox / PurePosixPath(name.path).name
        _fetch_one(storage, name, path)
    require_content(path, declared, str(name))
    if declared in _ARCHIVES:
        unpacked = folder / "unpacked"
        archives.unpack(path, unpacked, str(name))
        archives.unpack_inner(unpacked, str(name))
        return unpacked
    return path


def require_content(path: Path, declared: VectorFormat, shown: str) -> None:
    """Refuse a file whose first bytes are not those of its format.

    Also keeps virtual formats out, whose few lines could make the reading library open other files or addresses.
    """
    with path.open("rb") as file:
        head = file.read(8192)
    if declared in _MAGIC:
        magic, what = _MAGIC[declared]
        if not head.startswith(magic):
            raise UnreadableSource(
                f"{shown} is not {what}: it starts with {head[:16]!r}.", hint="Check the file, or its extension."
            )
        if declared in _ZIPPED:
            archives.check(path, shown)
        return
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if declared in _JSON and (text[:1] not in (b"{", b"[", b"\x1e") or b"gdal_streamed_alg" in head):
        wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "Save it as UTF-8." if wide else "Check the file."
        raise UnreadableSource(f"{shown} is not GeoJSON: it starts with {head[:16]!r}.", hint=hint)
    if declared is VectorFormat.MAPINFO and (
        not text.lower().startswith((b"!table", b"version")) or b"isseamless" in head.lower()
    ):
        # A seamless table names other files, wherever they lie.
        raise UnreadableSource(f"{shown} is not a MapInfo table: it starts with {head[:16]!r}.", hint="Check the file.")
    if declared is VectorFormat.DXF and not text.startswith((b"0", b"999", b"AutoCAD Binary DXF")):
        raise UnreadableSource(f"{shown} is not a DXF drawing: it starts with {head[:16]!r}.", hint="Check the file.")
    if declared in _XML and (text[:1] != b"<" or b"<OGRVRT" in head):
        raise UnreadableSource(
            f"{shown} is not {declared.value.upper()}: it starts with {head[:16]!r}.", hint="Check the file."
        )
    if declared in _XML and b"<!ENTITY" in head:
        raise UnreadableSource(
            f"{shown} declares XML entities, which could name other files; they are not read.",
            hint="Write it without a DOCTYPE.",
        )


def require_shapefile(path: Path, shown: str) -> None:
    """Refuse a shapefile without its index or its attributes."""
    missing = [s for s in _REQUIRED_PARTS if not path.with_suffix(s).exists()]
    if missing:
        raise UnreadableSource(
            f"Shapefile {shown} lacks {', '.join(path.stem + s for s in missing)}.",
            hint="Upload .shp, .shx, .dbf, .prj and .cpg together, best in one zip.",
        )


def _fetch_with_siblings(storage: ObjectStorage, name: BlobName, suffixes: tuple[str, ...], folder: Path) -> Path:
    # The reading library finds the parts by their lower-case extension.
    base = str(PurePosixPath(name.path).with_suffix(""))
    main = folder / PurePosixPath(name.path).with_suffix(PurePosixPath(name.path).suffix.lower()).name
    _fetch_one(storage, name, main)
    for blob in storage.list(name.container, base + "."):
        suffix = PurePosixPath(blob.name.path).suffix
        if blob.name.path == base + suffix and suffix.lower() in suffixes and blob.name != name:
            _fetch_one(storage, blob.name, main.with_suffix(suffix.lower()))
    return main


def _fetch_one(storage: ObjectStorage, name: BlobName, target: Path) -> None:
    storage.head(name)
    # What an earlier fetch left may be a link to the blob itself: writing into it would destroy the source.
    target.unlink(missing_ok=True)
    local = storage.gdal_path(name)
    if not local.startswith("/vsi"):
        # A link costs nothing and keeps these bytes even when the blob is replaced, which is a rename.
        try:
            os.link(local, target)
        except OSError:
            storage.download(name, target)
    else:
        storage.download(name, target)
