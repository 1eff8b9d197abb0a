"""Parameters and plan of process_vector."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.contracts.tables import staging_name
from core.contracts.vector import ProcessVectorParameters
from core.contracts.vector_formats import VectorFormat

BASE = {"blob_name": "a.csv", "file_extension": "csv", "table_name": "t", "access_level": "OUO"}


def parameters(**given: object) -> ProcessVectorParameters:
    return ProcessVectorParameters.model_validate(BASE | given)


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ("json", VectorFormat.GEOJSON),
        (".SHP", VectorFormat.SHAPEFILE),
        ("tsv", VectorFormat.CSV),
        ("gdb", VectorFormat.FILEGDB),
        ("geoparquet", VectorFormat.PARQUET),
    ],
)
def test_extensions_mean_formats(extension, expected):
    assert parameters(file_extension=extension).file_extension is expected


@pytest.mark.parametrize(
    "given",
    [
        {"chunk_size": 500},
        {"tile_view": True},
        {"file_extension": "docx"},
        {"table_name": "Public.T"},
        {"table_name": "t; drop table x"},
        {"table_name": "a" * 64},
        {"table_name": "t__stg_1"},
        {"table_name": "feature_collection_styles"},
        {"schema": "app"},
        {"target_crs": "WGS84"},
        {"lat_name": "lat"},
        {"lat_name": "a", "lon_name": "b", "wkt_column": "c"},
        {"converter_params": {"sheet": "x"}},
        {"converter_params": {"lat_name": "a"}, "lat_name": "b", "lon_name": "c"},
        {"geometry_params": {"simplify": {"tolerance": -1}}},
        {"access_level": "secret"},
        {"write_mode": "append", "temporal_property": "day"},
        {"write_mode": "upsert", "indexes": {"attributes": ["day"]}},
        {"write_mode": "append", "item_id": "mine"},
    ],
)
def test_what_is_not_honoured_or_makes_no_sense_is_refused(given):
    with pytest.raises(ValidationError):
        parameters(**given)


def test_access_level_is_required():
    with pytest.raises(ValidationError, match="access_level"):
        ProcessVectorParameters.model_validate({k: v for k, v in BASE.items() if k != "access_level"})


def test_both_ways_to_name_columns_are_the_same_work():
    one = parameters(converter_params={"lat_name": "y", "lon_name": "x"})
    assert one == parameters(lat_name="y", lon_name="x")
    assert one.model_dump_json() == parameters(lat_name="y", lon_name="x").model_dump_json()


def test_parameters_survive_their_own_json():
    original = parameters(schema="geo", column_mapping={"A": "b"}, indexes={"attributes": ["b"]})
    assert ProcessVectorParameters.model_validate_json(original.model_dump_json()) == original
    assert '"schema":"geo"' in original.model_dump_json()


def test_every_attempt_has_its_own_staging_name_of_at_most_63_bytes():
    names = {staging_name("x" * 63, job * 64, attempt) for job in "ab" for attempt in (1, 2, 100)}
    assert len(names) == 6 and all(len(n) <= 63 for n in names)
