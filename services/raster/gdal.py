"""GDAL as this project sets it up, and the one place where its errors become ours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rasterio
from rasterio._path import _parse_path
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from core.contracts.storage import BlobName, ObjectStorage
from core.errors import ResourceError, SourceNotFound, StorageUnavailable, UnreadableSource

#: In bytes: rasterio hands the number to GDAL as it is, so 128 would mean 128 bytes.
BLOCK_CACHE = 64 << 20

_NETWORK = re.compile(r"HTTP (response|error) code\s*:?\s*(429|5\d\d)|timed? ?out|could not resolve|connection", re.I)
_DISK_FULL = re.compile(r"no space left|disk full|not enough free disk", re.I)


@contextmanager
def gdal_session(storage: ObjectStorage, name: BlobName) -> Iterator[None]:
    """GDAL with the credentials this blob needs, a bounded block cache, masks inside files and no sidecar files."""
    options = {
        "GDAL_CACHEMAX": BLOCK_CACHE,
        "GDAL_TIFF_INTERNAL_MASK": True,
        # A sidecar would be written beside the source, in the partner's container.
        "GDAL_PAM_ENABLED": False,
        # Dimensions called x and y are coordinates, also where no attribute says so.
        "GDAL_NETCDF_IGNORE_XY_AXIS_NAME_CHECKS": "YES",
        # Pixel functions in a VRT are somebody's program.
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        **storage.gdal_options(name),
    }
    # Missing georeference is a finding of its own, not a line on stderr.
    with rasterio.Env(**options), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_with(path: str, drivers: Sequence[str]) -> DatasetReader:
    """Open for reading with one of these drivers and no other. `rasterio.open` knows a single one only."""
    return DatasetReader(_parse_path(path), driver=list(drivers), sharing=False)


@contextmanager
def reading(name: BlobName, what: str) -> Iterator[None]:
    """Translate what GDAL says while it reads: `what` is the step, such as "open" or "read band 2"."""
    try:
        yield
    except (RasterioError, rasterio._err.CPLE_BaseError) as e:  # GDAL's own classes have no public name
        cause = innermost(e)
        if _DISK_FULL.search(cause):
            raise ResourceError(f"The disk is full: cannot {what} of {name}.", hint=cause) from e
        if _NETWORK.search(cause):
            raise StorageUnavailable(f"Cannot {what} of {name}: {cause}") from e
        if isinstance(e, RasterioIOError) and "No such file" in cause:
            raise SourceNotFound(f"{name} does not exist.") from e
        raise UnreadableSource(
            f"Cannot {what} of {name}: {cause}", hint="Check that the file is complete and is the kind its name says."
        ) from e


def innermost(error: BaseException) -> str:
    """GDAL's first complaint: rasterio keeps it as the cause of its own, less telling one."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = getattr(error, "errmsg", None) or str(error)
    return " ".join(str(text).split())[:300]
