"""A VRT names other files for GDAL to read: each is checked, and its address rewritten, before GDAL sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from core.contracts.storage import BlobName, ObjectStorage, StoredBlob
from core.errors import InvalidRequest, SourceNotFound, UnreadableSource, UnsupportedFormat
from services.raster.folders import Fetched, together

Check = Callable[[bytes, str], None]

_LARGEST = 16 << 20
_MOST_SOURCES = 2_000
#: What a mosaic or a subset needs; no warps, no derived bands (whose pixel functions may be Python), no raw bands.
_KNOWN = """
VRTDataset SRS GeoTransform GCPList GCP Metadata MDI VRTRasterBand Description UnitType Offset Scale
CategoryNames Category NoDataValue NODATA HideNoDataValue ColorInterp ColorTable Entry Histograms HistItem
HistMin HistMax BucketCount IncludeOutOfRange Approximate HistCounts SimpleSource ComplexSource SourceFilename
SourceBand SourceProperties SrcRect DstRect ScaleOffset ScaleRatio LUT UseMaskBand ColorTableComponent
Exponent SrcMin SrcMax DstMin DstMax Clamp Overview OverviewList MaskBand BlockXSize BlockYSize
"""
_TAGS = frozenset(_KNOWN.split())
_ELSEWHERE = re.compile(r'^[/\\]|^[A-Za-z]:[\\/]|[:"<>|]|\\')
_FIX = "A VRT may name files of its own container by paths relative to itself; otherwise submit a GeoTIFF."


def resolve(storage: ObjectStorage, blob: StoredBlob, workdir: Path, *, fetch: bool, check: Check) -> Fetched:
    """A description that names only checked files. `check` refuses a source by its first bytes; `fetch` downloads them.

    Raises UnsupportedFormat for one that reaches outside its container or asks for more than pixels.
    """
    name = blob.name
    tree = _parse(storage, blob)
    parts = {name: blob}
    files = list(tree.iter("SourceFilename"))
    if not files or len(files) > _MOST_SOURCES:
        raise UnsupportedFormat(
            f"{name} names {len(files)} sources; from 1 to {_MOST_SOURCES} are possible.", hint=_FIX
        )
    paths: dict[BlobName, str] = {}
    for element in files:
        source = _source(name, element)
        if source not in paths:
            parts[source] = _existing(storage, name, source)
            check(storage.read(source, length=64), f"{source}, which {name} names,")
            paths[source] = _path(storage, source, workdir / f"source-{len(paths)}{source.suffix}", fetch=fetch)
        element.text = paths[source]
        element.attrib = {"relativeToVRT": "0"}
    target = workdir / "checked.vrt"
    ElementTree.ElementTree(tree).write(target)
    return Fetched(together(name, parts.values()), str(target))


def _parse(storage: ObjectStorage, blob: StoredBlob) -> ElementTree.Element:
    name = blob.name
    if blob.size > _LARGEST:
        raise UnsupportedFormat(f"{name} is a VRT of {blob.size} bytes; at most {_LARGEST} are read.", hint=_FIX)
    text = storage.read(name)
    if b"\0" in text or b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise UnsupportedFormat(f"{name} declares XML entities, which a VRT has no use for.", hint=_FIX)
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  bounded, and without entities as checked above
    except ElementTree.ParseError as e:
        raise UnreadableSource(f"{name} is not well-formed XML: {e}.", hint="Write the VRT again.") from e
    if root.tag != "VRTDataset":
        raise UnsupportedFormat(f"{name} is a text description ({root.tag}), not a raster.", hint=_FIX)
    for element in root.iter():
        if element.tag not in _TAGS or (
            element.tag in ("VRTDataset", "VRTRasterBand") and "subClass" in element.attrib
        ):
            kind = element.attrib.get("subClass") or element.tag
            raise UnsupportedFormat(f"{name} uses {kind}, which is not allowed in a VRT here.", hint=_FIX)
    return root


def _source(name: BlobName, element: ElementTree.Element) -> BlobName:
    given = (element.text or "").strip()
    outside = UnsupportedFormat(
        f"{name} names the source {given[:200]!r}, which may lie outside its container.", hint=_FIX
    )
    if element.attrib.get("relativeToVRT") != "1" or _ELSEWHERE.search(given) or ".." in PurePosixPath(given).parts:
        raise outside
    try:
        source = BlobName(name.container, str(PurePosixPath(name.path).parent / given))
    except InvalidRequest as e:
        raise outside from e
    if source.suffix == ".vrt":
        raise UnsupportedFormat(f"{name} names another VRT, {source}.", hint=_FIX)
    return source


def _existing(storage: ObjectStorage, name: BlobName, source: BlobName) -> StoredBlob:
    try:
        return storage.head(source)
    except SourceNotFound as e:
        raise SourceNotFound(f"{source}, which {name} names, does not exist.", hint="Upload it beside the VRT.") from e


def _path(storage: ObjectStorage, source: BlobName, local: Path, *, fetch: bool) -> str:
    path = storage.gdal_path(source)
    if fetch and path.startswith("/vsi"):
        storage.download(source, local)
        return str(local)
    return path
