"""What GDAL may do with blobs, wherever they live."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: A blob is opened as one file: no folder is listed, and no `.ovr`, `.msk` or world file beside it is taken along.
NO_SIBLINGS: Mapping[str, str] = MappingProxyType({"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"})
