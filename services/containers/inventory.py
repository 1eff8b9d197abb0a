"""What is in a container: pages of files, each classified by its name and looked up in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from core.contracts import raster_formats
from core.contracts.context import TaskContext
from core.contracts.raster_reports import (
    PAGE,
    FileKind,
    InventoriedFile,
    InventoriedPage,
    InventoryPage,
    InventoryPages,
    InventoryParameters,
)
from core.contracts.storage import ObjectStorage, StoredBlob
from core.contracts.vector_formats import EXTENSIONS as VECTOR_EXTENSIONS
from core.errors import Interrupted, NotFound

_ARCHIVES = frozenset({"zip", "gz", "tar", "tgz", "7z"})
_METADATA = frozenset({"json", "xml", "txt", "md", "pdf", "html", "yaml", "yml"})
#: Extensions of files that a Shapefile, an image or GDAL keeps beside the data.
_SIDECARS = frozenset(
    {"shx", "dbf", "prj", "cpg", "qix", "sbn", "sbx", "tfw", "tifw", "jgw", "pgw", "ovr", "msk", "hdr"}
)
_JOBS = {FileKind.RASTER: "process_raster_v2", FileKind.VECTOR: "process_vector"}


def list_pages(params: InventoryParameters, ctx: TaskContext) -> InventoryPages:
    """Where each page begins and ends; a page is listed again by the task that looks at it."""
    pages: list[InventoryPage] = []
    after, until, count, seen = params.start_after, "", 0, False
    more: str | None = None
    for blob in wanted(ctx.storage, params.container_name, params.prefix, params.suffix, params.start_after):
        seen = True
        if count == params.limit:
            more = until
            break
        count, until = count + 1, blob.name.path
        if count % PAGE == 0:
            pages.append(_page(params, after, until))
            after = until
        if count % PAGE == 1 and ctx.should_stop():
            raise Interrupted("Stopped while listing; the next attempt starts over.")
    if until and until != after:
        pages.append(_page(params, after, until))
    if not seen and not params.start_after and next(iter(ctx.storage.list(params.container_name)), None) is None:
        raise NotFound(f"Container {params.container_name!r} is empty or does not exist.", hint="Check its name.")
    return InventoryPages(pages=tuple(pages), next_start=more)


def analyze(page: InventoryPage, ctx: TaskContext) -> InventoriedPage:
    """Classify the files of a page."""
    blobs = []
    for blob in wanted(ctx.storage, page.container_name, page.prefix, page.suffix, page.after):
        if blob.name.path > page.until:
            break
        blobs.append(blob)
    known = ctx.catalog.cataloged(page.container_name, [blob.name.path for blob in blobs])
    names = {blob.name.path for blob in blobs}
    return InventoriedPage(files=tuple(_described(blob, names, known.get(blob.name.path)) for blob in blobs))


def wanted(storage: ObjectStorage, container: str, prefix: str, suffix: str, after: str) -> Iterator[StoredBlob]:
    """The blobs behind `after` in the order of their paths, as the store lists them."""
    for blob in storage.list(container, prefix):
        if blob.name.path > after and blob.name.path.lower().endswith(suffix.lower()):
            yield blob


def kind_of(path: str) -> FileKind:
    """What a file is, by its name."""
    extension = PurePosixPath(path).suffix.lstrip(".").lower()
    if path.lower().endswith((".aux.xml", ".tif.ovr", ".tif.msk")) or extension in _SIDECARS:
        return FileKind.SIDECAR
    if extension in _ARCHIVES:
        return FileKind.ARCHIVE
    if extension in VECTOR_EXTENSIONS and extension != "json":
        return FileKind.VECTOR
    if extension in raster_formats.EXTENSIONS:
        return FileKind.RASTER
    return FileKind.METADATA if extension in _METADATA else FileKind.OTHER


def _described(blob: StoredBlob, names: set[str], cataloged: str | None) -> InventoriedFile:
    path = blob.name.path
    kind = kind_of(path)
    return InventoriedFile(
        path=path,
        size=blob.size,
        last_modified=blob.last_modified,
        kind=kind,
        extension=PurePosixPath(path).suffix.lower(),
        job_type=_JOBS.get(kind),
        belongs_to=_owner(path, names) if kind is FileKind.SIDECAR else None,
        cataloged=cataloged,
    )


def _owner(path: str, names: set[str]) -> str | None:
    """The file of the same page that a sidecar is named after."""
    stem = path.removesuffix(".aux.xml").removesuffix(".ovr").removesuffix(".msk")
    if stem != path and stem in names:
        return stem
    base = str(PurePosixPath(path).with_suffix(""))
    return next((n for e in (".shp", ".tif", ".tiff", ".jpg", ".png") if (n := f"{base}{e}") in names), None)


def _page(params: InventoryParameters, after: str, until: str) -> InventoryPage:
    return InventoryPage(
        container_name=params.container_name, prefix=params.prefix, suffix=params.suffix, after=after, until=until
    )
