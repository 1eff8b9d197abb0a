"""Column names and types."""

from __future__ import annotations

import pyarrow as pa
import pytest

from core.contracts.tables import SqlType
from core.errors import ColumnsMissing, UnsupportedFormat
from services.vector.columns import planned_columns, resolve, safe_names, sql_type


def names(*sources: str, **mapping: str) -> list[str]:
    return safe_names(list(sources), mapping)


def test_names_become_lower_case_words():
    assert names("Area (m²)", "Straße", "a.b-c d", "  x  ") == ["area_m2", "straße", "a_b_c_d", "x"]


def test_reserved_and_system_names_are_renamed_not_dropped():
    assert names("id", "GEOM", "ctid", "xmin") == ["id_src", "geom_src", "ctid_src", "xmin_src"]


def test_names_that_differ_only_in_case_or_signs_stay_apart():
    assert names("A B", "a-b", "a_b", "A.B") == ["a_b_2", "a_b_3", "a_b", "a_b_4"]


def test_a_name_of_seventy_bytes_is_cut_to_63_and_stays_distinct():
    long = "x" * 70
    first, second = names(long, long + "y")
    assert (len(first), len(second)) == (63, 63) and first != second


def test_a_long_name_is_never_cut_inside_a_character():
    (name,) = names("é" * 40)
    assert name == "é" * 31 and len(name.encode()) <= 63


def test_empty_and_numeric_names_become_names():
    assert names("", "2010", "###") == ["column_1", "_2010", "column_3"]


def test_an_sql_looking_name_is_only_a_name():
    assert names('x"; drop table geo.t; --') == ["x_drop_table_geo_t"]


def test_the_requested_name_wins_over_a_column_that_has_it():
    assert names("code", "kode", kode="code") == ["code_2", "code"]


def test_column_mapping_must_name_columns_of_the_file():
    with pytest.raises(ColumnsMissing, match=r"nope.*has the columns a, b"):
        planned_columns(pa.schema([("a", pa.int32()), ("b", pa.int32())]), {"nope": "x"}, "f.gpkg")


def test_more_columns_than_postgresql_holds_are_refused_with_the_number():
    with pytest.raises(UnsupportedFormat, match="2,000 columns"):
        planned_columns(pa.schema([(f"c{i}", pa.int32()) for i in range(2000)]), {}, "f.csv")


def test_a_column_may_be_named_as_in_the_file_or_as_in_the_table():
    columns = planned_columns(pa.schema([("Name", pa.string()), ("Day", pa.date32())]), {}, "f.csv")
    assert resolve(["Name", "day", "Day"], columns, "f.csv", "indexes.attributes") == ("name", "day")


@pytest.mark.parametrize(
    ("arrow", "expected"),
    [
        (pa.bool_(), SqlType.BOOLEAN),
        (pa.int8(), SqlType.SMALLINT),
        (pa.uint16(), SqlType.INTEGER),
        (pa.uint32(), SqlType.BIGINT),
        (pa.uint64(), SqlType.NUMERIC),
        (pa.float16(), SqlType.REAL),
        (pa.float64(), SqlType.DOUBLE),
        (pa.decimal128(10, 2), SqlType.NUMERIC),
        (pa.large_string(), SqlType.TEXT),
        (pa.string_view(), SqlType.TEXT),
        (pa.null(), SqlType.TEXT),
        (pa.dictionary(pa.int8(), pa.string()), SqlType.TEXT),
        (pa.large_binary(), SqlType.BYTEA),
        (pa.date64(), SqlType.DATE),
        (pa.time32("s"), SqlType.TIME),
        (pa.timestamp("ns"), SqlType.TIMESTAMP),
        (pa.timestamp("ms", "+02:00"), SqlType.TIMESTAMPTZ),
        (pa.duration("s"), SqlType.INTERVAL),
        (pa.list_(pa.int8()), SqlType.INTEGER_LIST),
        (pa.list_(pa.string()), SqlType.TEXT_LIST),
        (pa.list_(pa.date32()), SqlType.JSONB),
        (pa.struct([("a", pa.int32())]), SqlType.JSONB),
        (pa.map_(pa.string(), pa.int32()), SqlType.JSONB),
        (pa.json_(pa.string()), SqlType.JSONB),
    ],
)
def test_every_arrow_type_has_a_column_type_that_holds_its_values(arrow, expected):
    assert sql_type(arrow) is expected
