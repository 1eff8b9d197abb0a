"""What can be noticed about a raster without refusing it."""

from __future__ import annotations

from enum import StrEnum


class FindingCode(StrEnum):
    """The word for machines; `docs/reference/findings.md` says what to do about each."""

    INPUT_CRS_USED = "INPUT_CRS_USED"  #: the file states no CRS, the request did
    CUSTOM_CRS = "CUSTOM_CRS"  #: the CRS has no registered code
    LOCAL_CRS_REPLACED = "LOCAL_CRS_REPLACED"  #: a local coordinate system gave way to the one given
    GCP_GEOREFERENCE = "GCP_GEOREFERENCE"  #: control points; resampled to a regular grid
    ROTATED_GRID = "ROTATED_GRID"  #: kept as it is
    SOUTH_UP_GRID = "SOUTH_UP_GRID"  #: turned north up, pixel by pixel
    ALL_NODATA = "ALL_NODATA"  #: no pixel is valid
    SINGLE_VALUE = "SINGLE_VALUE"  #: every valid pixel is the same
    NODATA_OUT_OF_RANGE = "NODATA_OUT_OF_RANGE"  #: the declared nodata cannot occur
    UNDECLARED_NODATA = "UNDECLARED_NODATA"  #: many pixels have a value that commonly means nothing
    INTEGERS_IN_FLOAT = "INTEGERS_IN_FLOAT"  #: whole numbers in a type for fractions
    DOUBLE_PRECISION = "DOUBLE_PRECISION"  #: 64-bit fractions
    WIDE_INTEGER = "WIDE_INTEGER"  #: whole numbers in a type wider than their range
    TYPE_UNCERTAIN = "TYPE_UNCERTAIN"  #: the kind of raster is a guess
    STATISTICS_ESTIMATED = "STATISTICS_ESTIMATED"  #: from an overview; not every pixel was read
    VISUALIZATION_IS_LOSSLESS = "VISUALIZATION_IS_LOSSLESS"  #: neither JPEG nor WEBP can serve this raster
    VISUALIZATION_IS_WEBP = "VISUALIZATION_IS_WEBP"  #: a picture with transparency, which JPEG has not
