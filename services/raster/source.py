"""Which file is the raster, and with which driver may GDAL open it?

Only a driver that the bytes or the name speak for is tried, and for the rest those that read nothing but the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rasterio.io import DatasetReader

from core.contracts import raster_formats as formats
from core.contracts.storage import BlobName, ObjectStorage, StoredBlob
from core.errors import AmbiguousLayer, UnreadableSource, UnsupportedFormat
from services.raster import archives, folders, virtual
from services.raster.gdal import open_with, reading
from services.raster.hdf5 import refuse_references

_STREAMED = frozenset({"GTiff", "JP2OpenJPEG"})
#: What a VRT may name: GDAL opens its sources with every driver, so only files that no driver makes read another.
_SELF_CONTAINED = tuple(magic for magic, driver in formats.MAGIC if driver in _STREAMED | {"PNG", "JPEG"})
_HEAD = 64
_LISTED = 40


@dataclass(frozen=True)
class Located:
    """What GDAL is to open: a path, the drivers that may, and what was chosen of several.

    `blob` is the source as stored; of a folder or a description its size is the sum and its etag changes with any part.
    """

    blob: StoredBlob
    path: str
    drivers: tuple[str, ...]
    member: str | None = None
    variable: str | None = None

    @property
    def name(self) -> BlobName:
        """The source."""
        return self.blob.name

    def __str__(self) -> str:
        file = f"{self.name}/{self.member}" if self.member else str(self.name)
        return f"{file}, variable {self.variable}" if self.variable else file

    @contextmanager
    def open(self) -> Iterator[DatasetReader]:
        """The dataset, inside a GDAL session of the caller's; the chosen one of several."""
        with reading(self.name, "open the raster"):
            dataset = open_with(self.path, self.drivers)
        with dataset:
            address = self._chosen(dataset)
            if address is None:
                yield dataset
                return
        with reading(self.name, f"open variable {self.variable}"):
            chosen = open_with(address, [*self.drivers, "HDF5Image"])
        with chosen:
            yield chosen

    def _chosen(self, dataset: DatasetReader) -> str | None:
        """Address of the variable asked for; None when the dataset is what is meant. Raises AmbiguousLayer."""
        choices: dict[str, str] = {_variable(str(a), self.path): str(a) for a in dataset.subdatasets}
        label = f"{self.name}/{self.member}" if self.member else str(self.name)
        if self.variable is None:
            if dataset.count == 0 and choices:
                raise AmbiguousLayer(
                    f"{label} holds {len(choices)} rasters: {_listed(choices)}.",
                    hint="Name the one to publish as variable.",
                )
            return None
        wanted = self.variable.strip("/")
        found = [n for n in choices if wanted in (n, choices[n])] or [n for n in choices if n.split("/")[-1] == wanted]
        if len(found) == 1:
            return choices[found[0]]
        own = dataset.tags(1).get("NETCDF_VARNAME") if dataset.count else None
        if not found and wanted == own:
            return None
        known = _listed(choices) or own or "a single one without a name"
        raise AmbiguousLayer(
            f"{label} holds {'several rasters' if found else 'no raster'} named {self.variable!r}; it holds: {known}.",
            hint="Name one of these as variable.",
        )


def _variable(address: str, path: str) -> str:
    """The part of a subdataset's address that names it: what follows the path, else what stands before."""
    before, _, after = address.partition(path)
    return after.strip('":/ ') or before.strip('":/ ').partition(":")[2]


def _listed(names: Sequence[str] | dict[str, str]) -> str:
    shown = ", ".join(list(names)[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown


def locate(
    storage: ObjectStorage, name: BlobName, workdir: Path, *, fetch: bool = False, variable: str | None = None
) -> Located:
    """Find the raster behind a blob, or behind the folder of a Zarr store.

    Archives and formats that GDAL cannot stream are fetched into `workdir`, and with `fetch` everything that is not
    on this machine: for what is read more than once.
    """
    if name.suffix == formats.ZARR and folders.is_folder(storage, name):
        folder = folders.fetch(storage, name, workdir)
        return Located(folder.blob, folder.path, ("Zarr",), variable=variable)
    blob = storage.head(name)
    if blob.size == 0:
        raise UnreadableSource(f"{name} is empty (0 bytes).", hint="Upload the file again.")
    head = storage.read(name, length=min(_HEAD, blob.size))
    if head.startswith(formats.ZIP):
        return _in_archive(storage, blob, workdir, variable)
    if name.suffix == formats.VRT and _is_text(head):
        described = virtual.resolve(storage, blob, workdir, fetch=fetch, check=_refuse_source)
        return Located(described.blob, described.path, ("VRT",), variable=variable)
    drivers, path = drivers_of(head, name.suffix, str(name)), storage.gdal_path(name)
    if path.startswith("/vsi") and (fetch or not _STREAMED.issuperset(drivers)):
        local = workdir / PurePosixPath(name.path).name
        storage.download(name, local)
        path = str(local)
    if head.startswith(formats.HDF5):
        refuse_references(Path(path), str(name))
    return Located(blob, path, drivers, variable=variable)


def _in_archive(storage: ObjectStorage, blob: StoredBlob, workdir: Path, variable: str | None) -> Located:
    found = archives.find(storage, blob, workdir, variable)
    label = f"{blob.name}/{found.member}"
    if found.member.lower().endswith(formats.ZARR):
        drivers: tuple[str, ...] = ("Zarr",)
    else:
        suffix = PurePosixPath(found.member).suffix.lower()
        several = formats.IN_ARCHIVE.get(suffix) if found.has_sidecar else None
        drivers = (several,) if several else drivers_of(found.head, suffix, label)
    path = found.path
    if found.head.startswith(formats.HDF5):
        # Its library reads plain files only, and the check needs one.
        path = str(archives.unpack(found, workdir))
        refuse_references(Path(path), label)
    return Located(blob, path, drivers, found.member, None if found.by_name else variable)


def drivers_of(head: bytes, suffix: str, label: str) -> tuple[str, ...]:
    """The drivers that may open a file that starts like this. Raises UnsupportedFormat."""
    _refuse_description(head, label)
    if head.startswith(formats.HDF5):
        return ("netCDF",) if suffix in (".nc", ".nc4") else ("BAG",) if suffix == ".bag" else ("HDF5",)
    if head.startswith(formats.HDF4):
        raise UnsupportedFormat(
            f"{label} is HDF4, which the GDAL in use here does not read.", hint="Convert it to GeoTIFF, NetCDF or HDF5."
        )
    for magic, driver in formats.MAGIC:
        if head.startswith(magic):
            return (driver,)
    known = formats.SUFFIXES.get(suffix)
    if known in formats.HDF5_DRIVERS:
        raise UnreadableSource(f"{label} does not begin as a {suffix} file does.", hint="Upload the file again.")
    return (known,) if known else tuple(formats.RECOGNISED)


def _refuse_source(head: bytes, label: str) -> None:
    """Of what a VRT names, only formats that hold all their pixels themselves reach GDAL."""
    _refuse_description(head, label)
    if not head.startswith(_SELF_CONTAINED):
        raise UnsupportedFormat(
            f"{label} is no GeoTIFF, JPEG 2000, PNG or JPEG file by its first bytes.",
            hint="Convert that source to GeoTIFF and have the VRT name the result.",
        )


def _is_text(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"<", b"{")


def _refuse_description(head: bytes, label: str) -> None:
    """A description makes GDAL read what it names; only a `.vrt` is looked at, by `virtual`, before GDAL sees it."""
    if _is_text(head):
        raise UnsupportedFormat(
            f"{label} is a text description (such as VRT), not a raster.",
            hint="Submit the files it refers to, a .vrt beside its sources, or a GeoTIFF.",
        )
    if head.startswith(formats.ZIP):
        raise UnsupportedFormat(f"{label} is an archive inside another.", hint="Pack rasters once.")
