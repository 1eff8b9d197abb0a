"""What can be noticed about a vector file without refusing it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from core.contracts.findings import Severity
from core.contracts.tasks import Contract


class FindingCode(StrEnum):
    """The word for machines."""

    NULL_GEOMETRY = "null_geometry"  #: features without geometry, left out
    EMPTY_GEOMETRY = "empty_geometry"  #: features whose geometry has no coordinates, left out
    UNREADABLE_GEOMETRY = "unreadable_geometry"  #: features whose geometry cannot be parsed or repaired, left out
    DEGENERATE_LINE = "degenerate_line"  #: lines without length, stored as they are
    REPAIRED_GEOMETRY = "repaired_geometry"  #: invalid geometries made valid
    AREA_CHANGED = "area_changed"  #: repaired polygons whose area is no longer what it was
    INVALID_SKIPPED = "invalid_skipped"  #: invalid geometries left out, as asked
    UNLIKE_GEOMETRY = "unlike_geometry"  #: features of another kind than their layer declares, left out
    MIXED_GEOMETRY_TYPES = "mixed_geometry_types"  #: points, lines or polygons together in one layer
    PROMOTED_TO_MULTI = "promoted_to_multi"  #: single geometries stored as Multi
    Z_FILLED = "z_filled"  #: geometries without height among others with height, stored with height 0
    Z_DROPPED = "z_dropped"  #: heights that the table, planned without, cannot hold
    M_FILLED = "m_filled"  #: geometries whose measures are not known, or lost by a repair, stored with measure 0
    M_DROPPED = "m_dropped"  #: measures are not stored
    COORDINATES_OUT_OF_RANGE = "coordinates_out_of_range"  #: longitudes beyond 180 or latitudes beyond 90 degrees
    SWAPPED_COORDINATES = "swapped_coordinates"  #: latitude and longitude seem to have changed places
    CROSSES_ANTIMERIDIAN = "crosses_antimeridian"  #: edges that span more than half the globe
    SPLIT_AT_ANTIMERIDIAN = "split_at_antimeridian"  #: geometries cut into parts at longitude 180
    RING_ORIENTATION = "ring_orientation"  #: polygons whose rings do not run as RFC 7946 wants
    REPEATED_POINTS = "repeated_points"  #: the same vertex twice in a row
    REPEATED_FEATURES = "repeated_features"  #: features alike in geometry and every attribute, all of them stored
    DUPLICATE_FEATURES = "duplicate_features"  #: the same, left out but for the first, as asked
    TRANSFORMATION_ACCURACY = "transformation_accuracy"  #: how exact the change of CRS is
    BALLPARK_TRANSFORMATION = "ballpark_transformation"  #: a change of CRS without a known shift between the datums
    OUTSIDE_CRS_AREA = "outside_crs_area"  #: coordinates where their CRS is not meant to be used
    CRS_ASSUMED = "crs_assumed"  #: no CRS stated; the numbers look like longitude and latitude
    CRS_GIVEN = "crs_given"  #: no CRS stated; the request's was used
    RENAMED_COLUMN = "renamed_column"  #: columns whose names PostgreSQL or this system cannot keep
    DATE_OUT_OF_RANGE = "date_out_of_range"  #: dates of no calendar, before year 1 or after year 9999, stored as null
    TIME_PRECISION_LOST = "time_precision_lost"  #: times finer than a microsecond, cut
    NUL_REMOVED = "nul_removed"  #: texts with NUL characters, which PostgreSQL cannot hold
    TEXT_RECODED = "text_recoded"  #: texts that were not UTF-8, read as Windows-1252
    FORMULA = "formula"  #: workbook cells that hold formulas, read as their last calculated values
    FORMULA_NOT_CALCULATED = "formula_not_calculated"  #: formulas without a value, read as empty cells
    LAYER_LEFT_OUT = "layer_left_out"  #: layers without features or without geometry, of which no table was made
    BAD_ROW = "bad_row"  #: lines with the wrong number of cells, left out
    READER_WARNING = "reader_warning"  #: what the reading library complained of


class Finding(Contract):
    """Something noticed. `feature_ids` are the first few concerned: the `id` they have, or would have, in the table.

    `values` is what was measured of each of those: for `area_changed` the change as a fraction of the area before.
    """

    code: FindingCode
    severity: Severity
    message: str
    count: int = Field(ge=1)
    feature_ids: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
