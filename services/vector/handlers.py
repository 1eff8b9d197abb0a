"""The three stages of `process_vector`: plan the table, load it beside the published one, describe and swap it in."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from core.contracts.context import TaskContext
from core.contracts.effects import SwapFeatureTable, UpsertStacItem
from core.contracts.tables import FeatureTable, TableFacts, staging_name
from core.contracts.vector import (
    CreateVectorStac,
    FindingCode,
    PreparedVector,
    ProcessVectorParameters,
    UploadedTable,
    UploadedVector,
    UploadVector,
    VectorPublished,
)
from core.errors import (
    Conflict,
    CrsMismatch,
    DataError,
    GeomachineError,
    Interrupted,
    NoFeatures,
    RequestError,
    TargetExists,
)
from services.vector import columns, describing, fetching, layers, opening, reference_systems
from services.vector.findings import Findings
from services.vector.loading import Load, cleaning_target, in_background

_PARTITIONS = 1  #: an upload task each


def prepare(parameters: ProcessVectorParameters, ctx: TaskContext) -> PreparedVector:
    """Open the file and decide everything about its table. Nothing is written.

    Raises TargetExists, and every DataError that opening and planning can.
    """
    started = datetime.now(UTC)
    if not parameters.overwrite and ctx.tables.exists(parameters.schema_name, parameters.table_name):
        raise TargetExists(
            f"Table {parameters.schema_name}.{parameters.table_name} exists already.",
            hint="Send overwrite=true or another table name.",
        )
    blob = ctx.storage.head(parameters.source)
    fetched = fetching.fetch(ctx.storage, parameters.source, parameters.file_extension, ctx.workdir)
    ctx.report_progress(40, f"fetched {parameters.source}")
    planned = layers.planned_layers(fetched, parameters, _PARTITIONS)
    table = planned[0].tables[0]
    count = sum(layer.feature_count for layer in planned)
    ctx.report_progress(100, f"{count:,} features, {len(table.columns)} columns, {table.geometry_type}")
    return PreparedVector(layers=planned, size_bytes=blob.size, etag=blob.etag, started_at=started)


def upload(task: UploadVector, ctx: TaskContext) -> UploadedVector:
    """Read, clean and COPY every feature into a staging table of this attempt's own."""
    parameters, prepared = task.parameters, task.prepared
    if ctx.storage.head(parameters.source).etag != prepared.etag:
        raise Conflict(f"{parameters.source} was replaced while it was processed.", hint="Submit it again.")
    fetched = fetching.fetch(ctx.storage, parameters.source, parameters.file_extension, ctx.workdir)
    layer = prepared.layers[task.layer]
    part, table = layer.partitions[task.partition], layer.tables[0]
    reader = opening.reopen(fetched, layer.source, str(parameters.source))
    findings = Findings()
    target = cleaning_target(layer.source, table, parameters)
    load = Load([table], [target], findings, ctx.workdir, part.first_id)
    staging = table.staging(staging_name(table.name, ctx.job_id, ctx.attempt))

    def progress() -> None:
        if ctx.should_stop():
            raise Interrupted
        percent = 100 * load.rows_read / max(part.features, 1)
        ctx.report_progress(min(percent, 99.0), f"{load.rows_read:,} of {part.features:,} features")

    ctx.tables.drop_leftovers(staging.schema, ctx.job_id, keep=staging.name)
    ctx.tables.create(staging)
    try:
        rows = ctx.tables.copy(staging, in_background(load.first_batches(reader.batches(findings, part)), progress))
        _require_rows(rows, load.rows_read, findings, task)
    except BaseException:
        _discard(ctx, staging)
        raise
    return UploadedVector(
        layer=task.layer,
        partition=task.partition,
        tables=(UploadedTable(name=table.name, staging=staging.name, rows_written=rows),),
        rows_read=load.rows_read,
        geometry_repairs=findings.count(FindingCode.REPAIRED_GEOMETRY),
        findings=findings.listed(),
    )


def create_stac(task: CreateVectorStac, ctx: TaskContext) -> VectorPublished:
    """Index the staging table and describe it; the swap and the STAC item are written when the task completes."""
    staging = task.prepared.layers[0].tables[0].staging(task.uploaded.tables[0].staging)
    try:
        return _create_stac(task, staging, ctx)
    except (DataError, RequestError):
        _discard(ctx, staging)
        raise


def _create_stac(task: CreateVectorStac, staging: FeatureTable, ctx: TaskContext) -> VectorPublished:
    parameters, plan = task.parameters, task.prepared.layers[0].tables[0]
    shown = str(parameters.source)
    temporal = columns.resolve(parameters.indexes.temporal, plan.columns, shown, "indexes.temporal")
    attributes = columns.resolve(parameters.indexes.attributes, plan.columns, shown, "indexes.attributes")
    ctx.tables.index(staging, spatial=parameters.indexes.spatial, attributes=attributes, temporal=temporal)
    ctx.report_progress(70, "indexed")
    asked = [] if parameters.temporal_property is None else [parameters.temporal_property]
    temporal_column = next(iter(columns.resolve(asked, plan.columns, shown, "temporal_property")), None)
    facts = ctx.tables.facts(staging, temporal_column)
    _require_degrees(facts, task)
    loaded = describing.LoadedTable(
        parameters=parameters,
        prepared=task.prepared,
        uploaded=task.uploaded,
        facts=facts,
        bbox=reference_systems.lonlat_bounds(facts.bbox, parameters.target_crs),
        temporal_column=temporal_column,
        job_id=ctx.job_id,
        job_type=ctx.job_type,
        now=datetime.now(UTC),
    )
    ctx.commit_with(
        SwapFeatureTable(
            schema=plan.schema_name,
            staging=staging.name,
            table=plan.name,
            catalog=describing.catalog_row(loaded),
            tracking=describing.tracking_row(loaded),
            overwrite=parameters.overwrite,
        )
    )
    ctx.commit_with(UpsertStacItem(describing.stac_collection(loaded), describing.stac_item(loaded)))
    return VectorPublished(
        collection_id=parameters.collection_id,
        item_id=loaded.item_id,
        bbox=loaded.bbox,
        row_count=facts.row_count,
        geometry_types=facts.geometry_types,
        findings=loaded.findings,
    )


def _require_rows(rows: int, read: int, findings: Findings, task: UploadVector) -> None:
    shown = str(task.parameters.source)
    if rows == 0:
        reasons = " ".join(f.message for f in findings.listed()) or "Nothing could be read."
        raise NoFeatures(f"None of the {read:,} features of {shown} can be stored. {reasons}")


def _require_degrees(facts: TableFacts, task: CreateVectorStac) -> None:
    """Refuse numbers that nobody can mean as degrees; single features beyond the range were only reported."""
    minx, miny, maxx, maxy = facts.bbox
    source = task.prepared.layers[0].source
    if task.prepared.layers[0].tables[0].srid == 4326 and (minx > 360 or maxx < -360 or miny > 180 or maxy < -180):
        raise CrsMismatch(
            f"{task.parameters.source} is said to be in {source.crs}, but its coordinates, x {minx:.10g} "
            f"to {maxx:.10g} and y {miny:.10g} to {maxy:.10g}, are no degrees.",
            hint="Set input_crs to the CRS that the numbers are in.",
        )


def _discard(ctx: TaskContext, staging: FeatureTable) -> None:
    # Best effort: what stays behind is dropped by the next attempt.
    with contextlib.suppress(GeomachineError):
        ctx.tables.drop(staging.schema, staging.name)
