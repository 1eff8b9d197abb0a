"""Errors of a dataset: trying again cannot help."""

from __future__ import annotations

from core.errors.base import FixedBy, GeomachineError


class DataError(GeomachineError):
    """The dataset cannot be processed as it is."""

    code = "DATA_ERROR"
    cause = "any other fault of the dataset"
    fix = "read the message"
    fixed_by = FixedBy.CALLER


class SourceNotFound(DataError):
    """The source file does not exist in its container."""

    code = "SOURCE_NOT_FOUND"
    cause = "no such blob in that container"
    fix = "upload it, or correct container and path"


class UnreadableSource(DataError):
    """The source file cannot be opened or read."""

    code = "UNREADABLE_SOURCE"
    cause = "empty, damaged or not what its extension says"
    fix = "upload a good file"


class UnsupportedFormat(DataError):
    """No reader handles this kind of file."""

    code = "UNSUPPORTED_FORMAT"
    cause = "no reader for this kind of file"
    fix = "convert it; the hint lists known extensions"


class AmbiguousLayer(DataError):
    """The file holds several layers and none was named."""

    code = "AMBIGUOUS_LAYER"
    cause = "several layers and none named"
    fix = "set `layer_name`"


class CrsMissing(DataError):
    """The file states no coordinate reference system and none was given."""

    code = "CRS_MISSING"
    cause = "the file states no CRS"
    fix = "set `input_crs`"


class CrsMismatch(DataError):
    """The file's coordinate reference system contradicts the one given."""

    code = "CRS_MISMATCH"
    cause = "the CRS contradicts the coordinates or the request"
    fix = "correct `input_crs` or the file"


class RasterTypeMismatch(DataError):
    """The raster is not of the declared type."""

    code = "RASTER_TYPE_MISMATCH"
    cause = "the pixels are not of the declared `raster_type`"
    fix = "declare another, or `auto`"


class InvalidRaster(DataError):
    """The raster's content breaks a rule it must keep."""

    code = "INVALID_RASTER"
    cause = "the content breaks a rule, or a warning under `strict_mode`"
    fix = "the message says which rule"


class MixedCollection(DataError):
    """The files are too different to be shown as one collection."""

    code = "MIXED_COLLECTION"
    cause = "files of different types, bands or CRS in one collection"
    fix = "the message names them; give `target_crs`, or submit them apart"


class InvalidGeometry(DataError):
    """A geometry cannot be stored, even after repair."""

    code = "INVALID_GEOMETRY"
    cause = "a geometry cannot be stored, even repaired"
    fix = "mend the feature it names"


class NoFeatures(DataError):
    """The file holds no feature with a geometry."""

    code = "NO_FEATURES"
    cause = "nothing with a geometry in the file"
    fix = "check layer and columns"


class ColumnsMissing(DataError):
    """The table lacks the columns that hold coordinates."""

    code = "COLUMNS_MISSING"
    cause = "coordinate columns not found"
    fix = "set `lat_column` and `lon_column`, or `wkt_column`"


class SchemaMismatch(DataError):
    """The file does not have the columns of the table that its rows shall join."""

    code = "SCHEMA_MISMATCH"
    cause = "`append` or `upsert`, and the file's columns or geometry are not the table's"
    fix = "the message names the columns that differ; `column_mapping` renames"


class DuplicateKey(DataError):
    """The key is empty or not unique."""

    code = "DUPLICATE_KEY"
    cause = "the primary or upsert key is empty in a row, or the same in two"
    fix = "the message names rows; mend them, or choose another key"


class TargetExists(DataError):
    """The output exists already and overwriting was not asked for."""

    code = "TARGET_EXISTS"
    cause = "the output exists"
    fix = "new `version_id`, or `overwrite`"


class RemoteAnswerRefused(DataError):
    """The remote server's answer is too large or cannot be read."""

    code = "REMOTE_ANSWER_REFUSED"
    cause = "a remote server answers too much, in an unknown compression, or with too many redirects"
    fix = "the message says which; give the address of what it should answer"
