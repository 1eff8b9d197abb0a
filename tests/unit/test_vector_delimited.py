"""Text tables as features."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from core.contracts.vector_findings import FindingCode
from core.errors import ColumnsMissing, NoFeatures, UnreadableSource
from services.vector import coordinates, delimited_reader
from services.vector.findings import Findings
from services.vector.readers import GEOMETRY


def table(folder: Path, content: str | bytes, findings: Findings | None = None, **named: str) -> pa.Table:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    dialect = delimited_reader.dialect_of(path, "c/t.csv")
    names = delimited_reader.header(path, dialect, "c/t.csv")
    where = coordinates.find(names, named.get("lat"), named.get("lon"), named.get("wkt"), "c/t.csv")
    reader = delimited_reader.DelimitedReader(path, dialect, where, "c/t.csv")
    batches = list(reader.batches(findings if findings is not None else Findings()))
    result = pa.Table.from_batches(batches)
    assert reader.feature_count == len(result)
    return result


UNREADABLE = "unreadable"


def points(found: pa.Table) -> list[str | None]:
    return [shapely.from_wkb(raw).wkt if raw else UNREADABLE if raw == b"" else None for raw in values(found, GEOMETRY)]


def values(found: pa.Table, name: str) -> list[object]:
    return found.column(name).to_pylist()


@pytest.mark.parametrize("head", ["lat,lon", "Latitude,Longitude", "y,x", "LAT,LNG", " lat , long "])
def test_usual_names_of_coordinates_are_found(tmp_path, head):
    assert points(table(tmp_path, f"{head}\n-1.5,30.25\n")) == ["POINT (30.25 -1.5)"]


def test_named_columns_are_used(tmp_path):
    assert points(table(tmp_path, "n,e\n1,2\n", lat="n", lon="e")) == ["POINT (2 1)"]


def test_wkt_is_found_and_leaves_the_attributes(tmp_path):
    found = table(tmp_path, 'name,wkt\na,"POLYGON ((0 0, 1 0, 1 1, 0 0))"\nb,SRID=4326;POINT (1 2)\nc,rubbish\nd,\n')
    assert points(found) == ["POLYGON ((0 0, 1 0, 1 1, 0 0))", "POINT (1 2)", UNREADABLE, None]
    assert found.column_names[:-1] == ["name"]


def test_without_coordinates_the_columns_are_listed(tmp_path):
    with pytest.raises(ColumnsMissing, match="it has name, colour"):
        table(tmp_path, "name,colour\na,b\n")


def test_a_named_column_that_is_not_there_is_reported_with_those_that_are(tmp_path):
    with pytest.raises(ColumnsMissing, match=r"names N, but c/t\.csv has the columns n, e"):
        table(tmp_path, "n,e\n1,2\n", lat="N", lon="e")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_usual_delimiter_is_recognised(tmp_path, delimiter):
    found = table(tmp_path, delimiter.join(["lat", "lon", "a"]) + "\n" + delimiter.join(["1", "2", "x"]) + "\n")
    assert points(found) == ["POINT (2 1)"] and values(found, "a") == ["x"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_survives_every_usual_encoding(tmp_path, encoding):
    assert values(table(tmp_path, "lat,lon,näme\n1,2,Évreux\n".encode(encoding)), "näme") == ["Évreux"]


def test_columns_get_the_type_that_all_their_values_have(tmp_path):
    rows = [
        "lat,lon,i,f,d,t,b,s",
        "1,2,3,4.5,2024-02-29,2024-01-02 03:04:05,true,a",
        "1,2,,,,,,",
        "1,2,-9,1e3,1999-12-31,2024-01-02T03:04:05.5,false,b",
    ]
    found = table(tmp_path, "\n".join(rows) + "\n")
    assert values(found, "i") == [3, None, -9]
    assert values(found, "f") == [4.5, None, 1000.0]
    assert values(found, "d") == [dt.date(2024, 2, 29), None, dt.date(1999, 12, 31)]
    moments = ["2024-01-02T03:04:05", None, "2024-01-02T03:04:05.500000"]
    assert [None if t is None else t.isoformat() for t in values(found, "t")] == moments
    assert values(found, "b") == [True, None, False]
    assert values(found, "s") == ["a", None, "b"]


def test_times_with_a_zone_are_moments_and_those_of_which_some_have_none_stay_text(tmp_path):
    rows = [
        "lat,lon,t,u",
        "1,2,2024-01-01T10:00:00+02:00,2024-01-01T10:00:00Z",
        "1,2,,",
        "1,2,2024-06-01T10:00:00Z,2024-01-01",
    ]
    found = table(tmp_path, "\n".join(rows) + "\n")
    moments = [dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC), None, dt.datetime(2024, 6, 1, 10, tzinfo=dt.UTC)]
    assert values(found, "t") == moments
    assert values(found, "u") == ["2024-01-01T10:00:00Z", None, "2024-01-01"]


@pytest.mark.parametrize("cells", [["007", "12"], ["+250788", "1"], ["12345678901234567890", "1"], ["1", "two"]])
def test_cells_that_a_number_would_change_stay_text(tmp_path, cells):
    found = table(tmp_path, "lat,lon,v\n" + "".join(f"1,2,{c}\n" for c in cells))
    assert values(found, "v") == cells


def test_a_value_that_breaks_the_type_far_down_the_file_makes_the_whole_column_text(tmp_path):
    rows = [f"1,2,{i}" for i in range(700_000)]
    rows[-1] = "1,2,n. a."
    found = table(tmp_path, "lat,lon,v\n" + "\n".join(rows) + "\n")
    assert found.column("v").type == pa.string() and values(found, "v")[-2:] == ["699998", "n. a."]


def test_namibia_is_not_a_missing_value_in_a_text_column(tmp_path):
    assert values(table(tmp_path, "lat,lon,iso\n1,2,NA\n1,2,RW\n"), "iso") == ["NA", "RW"]


def test_not_available_is_null_in_a_column_of_numbers(tmp_path):
    assert values(table(tmp_path, "lat,lon,v\n1,2,NA\n1,2,5\n"), "v") == [None, 5]


def test_rows_with_unusable_coordinates_have_no_geometry(tmp_path):
    found = table(tmp_path, "lat,lon,v\n1,2,a\nnorth,2,b\n,2,c\n1,nan,d\n 3 , 4 ,e\n")
    assert points(found) == ["POINT (2 1)", UNREADABLE, None, UNREADABLE, "POINT (4 3)"]


def test_quoted_cells_may_hold_delimiters_and_line_ends(tmp_path):
    assert values(table(tmp_path, 'lat,lon,v\n1,2,"a, b\nc ""d"""\n'), "v") == ['a, b\nc "d"']


def test_lines_with_too_many_cells_are_left_out_and_reported(tmp_path):
    findings = Findings()
    assert values(table(tmp_path, "lat,lon,v\n1,2,a\n1,2,b,c\n1,2,d\n", findings), "v") == ["a", "d"]
    (finding,) = findings.listed()
    assert (finding.code, finding.count) == (FindingCode.BAD_ROW, 1) and "4 of 3" in finding.message


def test_columns_of_one_name_stay_apart(tmp_path):
    found = table(tmp_path, "lat,lon,a,a,\n1,2,x,y,z\n")
    assert found.column_names[:-1] == ["lat", "lon", "a", "a_2", "column_5"]


def test_an_empty_file_has_no_features(tmp_path):
    with pytest.raises(NoFeatures):
        table(tmp_path, "\n")


def test_the_line_of_a_nul_byte_is_named(tmp_path):
    with pytest.raises(UnreadableSource, match="NUL bytes, first in line 3"):
        table(tmp_path, b"n,lat,lon\na,1,2\nb\x00,1,2\n")


def test_a_binary_file_is_no_text_table(tmp_path):
    with pytest.raises(UnreadableSource, match="NUL"):
        table(tmp_path, b"lat,lon\x00\x00\n")


_LONG = ["12345678901234567890", "1000000000000000000", "-1000000000000000000", "1000000000000000000.5"]
_CODES = ["007", "-01", "00", "+5", " 5", "0123456789", *_LONG]


@pytest.mark.parametrize("code", _CODES)
def test_a_code_that_a_number_would_not_write_back_keeps_its_column_text(tmp_path, code):
    rows = "".join(f"{i},1,2\n" for i in range(5000))
    found = table(tmp_path, f"code,lat,lon\n{rows}{code},1,2\n")
    assert values(found, "code")[-1] == code and values(found, "code")[0] == "0"


@pytest.mark.parametrize("number", ["0", "-0.5", "0.25", "10", "-1", "1e5", "999999999999999872", "-1e18", "1e300"])
def test_numbers_that_begin_with_nothing_odd_are_numbers(tmp_path, number):
    assert values(table(tmp_path, f"n,lat,lon\n{number},1,2\n"), "n") == [float(number)]


def test_rows_cut_into_parts_are_those_of_the_whole_also_with_line_breaks_in_cells(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f'{i},"a ""quoted""\nline, {"x" * 300}",1,2' for i in range(120_000)]
    rows[77] = "too,few"
    path.write_text("n,text,lat,lon\n" + "\n".join(rows) + "\n")
    dialect = delimited_reader.dialect_of(path, "t")
    where = coordinates.CoordinateColumns("lat", "lon")
    reader = delimited_reader.DelimitedReader(path, dialect, where, "t")
    parts = reader.partitions(2)
    assert len(parts) == 2 and parts[0].first_id == 1 and parts[1].first_id == parts[0].features + 1
    again = delimited_reader.DelimitedReader(path, dialect, where, "t", reader.types)
    found = [pa.Table.from_batches(list(again.batches(Findings(), part))) for part in parts]
    assert [len(t) for t in found] == [p.features for p in parts]
    assert pa.concat_tables(found).column("n").to_pylist() == [i for i in range(120_000) if i != 77]


def test_a_row_longer_than_any_block_is_read_by_the_later_reader_too(tmp_path):
    path = tmp_path / "t.csv"
    line = ", ".join(f"{30 + i / 1e6:.9f} -2.000000001" for i in range(250_000))
    path.write_text(f'n,wkt\n1,POINT (30 -2)\n2,"LINESTRING ({line})"\n3,POINT (31 -2)\n')
    where = coordinates.CoordinateColumns(wkt="wkt")
    reader = delimited_reader.DelimitedReader(path, delimited_reader.dialect_of(path, "t"), where, "t")
    assert reader.survey.counts == {1: 2, 2: 1} and reader.survey.bounds == (30, -2.000000001, 31, -2)
    again = delimited_reader.DelimitedReader(path, reader.dialect, where, "t", reader.types)
    found = pa.Table.from_batches(list(again.batches(Findings(), reader.partitions(1)[0])))
    vertices = shapely.get_num_coordinates(shapely.from_wkb(found.column(1).to_numpy()))
    assert found.column("n").to_pylist() == [1, 2, 3] and vertices.tolist() == [1, 250_000, 1]
