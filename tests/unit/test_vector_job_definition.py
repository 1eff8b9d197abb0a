"""The declaration of process_vector."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from core.contracts.findings import Severity
from core.contracts.jobs import StageResults
from core.contracts.tables import SqlType
from core.contracts.vector import (
    ColumnPlan,
    LayerPlan,
    Partition,
    PreparedVector,
    ProcessVectorParameters,
    PublishedTable,
    SourcePlan,
    TablePlan,
    UploadedTable,
    UploadedVector,
    VectorPublished,
)
from core.contracts.vector_findings import Finding, FindingCode
from core.contracts.vector_formats import VectorFormat
from core.contracts.vector_results import VectorJobResult
from jobs.process_vector import JOB

PARAMETERS = ProcessVectorParameters.model_validate(
    {"blob_name": "a.gpkg", "file_extension": "gpkg", "table_name": "t", "access_level": "ouo"}
)
FINDING = Finding(code=FindingCode.NULL_GEOMETRY, severity=Severity.WARNING, message="one", count=1, feature_ids=(3,))
LAYER = LayerPlan(
    source=SourcePlan(shown="bronze-vectors/a.gpkg", format=VectorFormat.GPKG, driver="GPKG", crs="EPSG:32735"),
    tables=(
        TablePlan(
            schema_name="geo",
            name="t",
            geometry_type="Point",
            srid=4326,
            columns=(ColumnPlan(name="a", sql_type=SqlType.TEXT, source_name="A"),),
        ),
    ),
    feature_count=4,
    partitions=(Partition(first_id=1, features=4, start=0, stop=4),),
    findings=(),
)
PREPARED = PreparedVector(layers=(LAYER,), size_bytes=1, etag="x", started_at=datetime(2026, 1, 1, tzinfo=UTC))
UPLOADED = UploadedVector(
    layer=0,
    partition=0,
    tables=(UploadedTable(rows_written=3, bounds=(1, 2, 3, 4), findings=(FINDING,)),),
    rows_read=4,
    findings=(),
)
TABLE = PublishedTable(
    table_name="t",
    collection_id="system-vectors",
    item_id="postgis-geo-t",
    bbox=(1, 2, 3, 4),
    rows_written=3,
    row_count=3,
    geometry_type="Point",
    geometry_types=("Point",),
    source_crs="EPSG:32735",
    srid=4326,
    column_definitions={"a": {"type": "text", "source_name": "A"}},
)
PUBLISHED = VectorPublished(tables=(TABLE,), rows_read=4, findings=(FINDING,))


def finished() -> StageResults:
    return StageResults(
        {"prepare": {"prepare": PREPARED}, "upload": {"layer-0-part-0": UPLOADED}, "stac": {"stac": PUBLISHED}}
    )


def test_task_types_are_those_partners_know():
    assert [s.task.name for s in JOB.stages] == [
        "process_vector_prepare",
        "process_vector_upload",
        "vector_create_stac",
    ]


def test_every_stage_is_planned_from_the_ones_before_it():
    for stage in JOB.stages:
        (spec,) = stage.plan(PARAMETERS, finished())
        assert type(spec.parameters) is stage.task.input
        assert stage.task.input.model_validate_json(spec.parameters.model_dump_json()) == spec.parameters


def test_the_result_carries_partners_fields():
    result = JOB.finalize(PARAMETERS, finished())
    as_json = result.model_dump(mode="json")
    assert as_json["stac"] == {"collection_id": "system-vectors", "item_id": "postgis-geo-t"}
    assert as_json["schema"] == "geo" and as_json["table_name"] == "t" and as_json["source_crs"] == "EPSG:32735"
    assert as_json["summary"] == {
        "total_chunks": 1,
        "chunks_uploaded": 1,
        "chunks_failed": 0,
        "total_rows_uploaded": 3,
        "rows_read": 4,
        "rows_skipped": 1,
        "success_rate": 75.0,
        "data_complete": False,
    }
    assert as_json["tasks_by_status"] == {"completed": 3} and as_json["stages_completed"] == 3
    assert VectorJobResult.model_validate(as_json) == result


def test_a_layer_in_parts_is_loaded_by_a_task_for_each_and_gathered_in_order():
    parts = tuple(Partition(first_id=i + 1, features=1, start=i, stop=i + 1) for i in range(12))
    prepared = PREPARED.model_copy(update={"layers": (LAYER.model_copy(update={"partitions": parts}), LAYER)})
    specs = list(JOB.stage(2).plan(PARAMETERS, StageResults({"prepare": {"prepare": prepared}})))
    assert len(specs) == 13
    loaded = {
        s.key: UPLOADED.model_copy(update={"layer": s.parameters.layer, "partition": s.parameters.partition})
        for s in specs
    }
    results = StageResults({"prepare": {"prepare": prepared}, "upload": dict(sorted(loaded.items(), reverse=True))})
    (gathered,) = JOB.stage(3).plan(PARAMETERS, results)
    assert [(u.layer, u.partition) for u in gathered.parameters.uploaded] == [*((0, i) for i in range(12)), (1, 0)]


def test_several_tables_are_listed_and_their_boxes_joined():
    lines = TABLE.model_copy(update={"table_name": "t_lines", "bbox": (-5, 0, 2, 3.5)})
    published = PUBLISHED.model_copy(update={"tables": (TABLE, lines)})
    both = StageResults({**finished().outputs, "stac": {"stac": published}})
    result = JOB.finalize(PARAMETERS, both)
    assert [t.table_name for t in result.tables] == ["t", "t_lines"] and result.bbox == (-5, 0, 3, 4)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({}, "create"),
        ({"overwrite": False}, "create"),
        ({"overwrite": True}, "overwrite"),
        ({"write_mode": "upsert"}, "upsert"),
    ],
)
def test_overwrite_is_another_word_for_its_write_mode(given, mode):
    parameters = ProcessVectorParameters.model_validate({**PARAMETERS.model_dump(by_alias=True), "write_mode": mode})
    base = {"blob_name": "a.gpkg", "file_extension": "gpkg", "table_name": "t", "access_level": "ouo"}
    assert ProcessVectorParameters.model_validate(base | given) == parameters


@pytest.mark.parametrize(
    "given",
    [
        {"overwrite": True, "write_mode": "append"},
        {"overwrite": "yes"},
        {"upsert_key": ["a"]},
        {"write_mode": "append", "create_tile_view": True},
        {"max_tile_vertices": 3},
    ],
)
def test_options_that_contradict_each_other_are_refused(given):
    base = {"blob_name": "a.gpkg", "file_extension": "gpkg", "table_name": "t", "access_level": "ouo"}
    with pytest.raises(ValidationError):
        ProcessVectorParameters.model_validate(base | given)


def test_declaring_the_job_loads_no_heavy_library():
    heavy = "pyogrio", "geopandas", "shapely", "pyarrow", "pgpq", "rasterio", "pyproj"
    imports = "import sys, jobs.process_vector, infrastructure.postgres.feature_tables"
    code = f"{imports}; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
