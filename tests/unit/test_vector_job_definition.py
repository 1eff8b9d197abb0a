"""The declaration of process_vector."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from core.contracts.jobs import StageResults
from core.contracts.tables import SqlType
from core.contracts.vector import (
    ColumnPlan,
    Finding,
    FindingCode,
    LayerPlan,
    Partition,
    PreparedVector,
    ProcessVectorParameters,
    Severity,
    SourcePlan,
    TablePlan,
    UploadedTable,
    UploadedVector,
    VectorFormat,
    VectorJobResult,
    VectorPublished,
)
from jobs.process_vector import JOB

PARAMETERS = ProcessVectorParameters.model_validate(
    {"blob_name": "a.gpkg", "file_extension": "gpkg", "table_name": "t", "access_level": "ouo"}
)
FINDING = Finding(code=FindingCode.NULL_GEOMETRY, severity=Severity.WARNING, message="one", count=1, feature_ids=(3,))
LAYER = LayerPlan(
    source=SourcePlan(format=VectorFormat.GPKG, driver="GPKG", crs="EPSG:32735"),
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
    tables=(UploadedTable(name="t", staging="t_staging_1", rows_written=3),),
    rows_read=4,
    geometry_repairs=0,
    findings=(FINDING,),
)
PUBLISHED = VectorPublished(
    collection_id="system-vectors",
    item_id="postgis-geo-t",
    bbox=(1, 2, 3, 4),
    row_count=3,
    geometry_types=("Point",),
    findings=(FINDING,),
)


def finished() -> StageResults:
    return StageResults({"prepare": {"prepare": PREPARED}, "upload": {"upload": UPLOADED}, "stac": {"stac": PUBLISHED}})


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


def test_declaring_the_job_loads_no_heavy_library():
    heavy = "pyogrio", "geopandas", "shapely", "pyarrow", "pgpq", "rasterio", "pyproj"
    imports = "import sys, jobs.process_vector, infrastructure.postgres.feature_tables"
    code = f"{imports}; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
