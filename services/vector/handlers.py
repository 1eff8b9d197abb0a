"""The stages of vector jobs: plan the tables, load them beside the published ones, describe and swap them in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from core.contracts.context import TaskContext
from core.contracts.tables import item_taken, require_item
from core.contracts.vector import (
    CreateVectorStac,
    LayerPlan,
    PreparedVector,
    ProcessVectorParameters,
    TablePlan,
    UploadedVector,
    UploadVector,
    VectorProcessed,
    VectorPublished,
)
from core.errors import InvalidRequest, TargetExists
from core.models.catalog import WriteMode
from services.vector import describing, fetching, joining, layers, publishing, uploading

_PARTITION_BYTES = 64 << 20
_MAX_PARTITIONS = 16
_PREPARED, _UPLOADED, _INDEXED = 1, 2, 3  #: phases of the one task of process_vector_docker


def prepare(parameters: ProcessVectorParameters, ctx: TaskContext) -> PreparedVector:
    """Open the file, decide everything about its tables, and make them, empty, under the names of unfinished ones.

    Raises TargetExists, Conflict, SchemaMismatch, and every DataError that opening and planning can.
    """
    return _prepare(parameters, ctx, _fetcher(parameters, ctx), keep=False)


def upload(task: UploadVector, ctx: TaskContext) -> UploadedVector:
    """Read, clean and COPY one partition."""
    with publishing.tidied(ctx, task.parameters.schema_name):
        return uploading.upload(task, ctx, _fetcher(task.parameters, ctx))


def create_stac(task: CreateVectorStac, ctx: TaskContext) -> VectorPublished:
    """Index the tables and describe them; swaps, rows and STAC items are written when the task completes."""
    with publishing.tidied(ctx, task.parameters.schema_name):
        publishing.index(task, ctx)
        return publishing.publish(task, ctx)


def process(parameters: ProcessVectorParameters, ctx: TaskContext) -> VectorProcessed:
    """All of it as one task; an attempt goes on after the last phase that an earlier one finished."""
    checkpoint, fetched = ctx.checkpoint, _fetcher(parameters, ctx)
    if checkpoint.should_skip(_PREPARED):
        prepared = PreparedVector.model_validate(checkpoint.data["prepared"])
    else:
        prepared = _prepare(parameters, ctx, fetched, keep=True)
        checkpoint.save_and_stop_if_requested(_PREPARED, {"prepared": prepared.model_dump(mode="json", by_alias=True)})
    with publishing.tidied(ctx, parameters.schema_name):
        # Parts that are loaded already answer at once with what was told then.
        uploaded = tuple(
            uploading.upload(UploadVector(parameters=parameters, prepared=prepared, layer=i, partition=k), ctx, fetched)
            for i, layer in enumerate(prepared.layers)
            for k in range(len(layer.partitions))
        )
        if not checkpoint.should_skip(_UPLOADED):
            checkpoint.save_and_stop_if_requested(_UPLOADED, {})
        task = CreateVectorStac(parameters=parameters, prepared=prepared, uploaded=uploaded)
        if not checkpoint.should_skip(_INDEXED):
            publishing.index(task, ctx)
            checkpoint.save_and_stop_if_requested(_INDEXED, {})
        return VectorProcessed(parts=len(uploaded), published=publishing.publish(task, ctx))


def _fetcher(parameters: ProcessVectorParameters, ctx: TaskContext) -> Callable[[], Path]:
    """The file, fetched when it is first asked for."""
    return cache(lambda: fetching.fetch(ctx.storage, parameters.source, parameters.file_extension, ctx.workdir))


def _prepare(
    parameters: ProcessVectorParameters, ctx: TaskContext, fetched: Callable[[], Path], *, keep: bool
) -> PreparedVector:
    started = datetime.now(UTC)
    _require_free(parameters, parameters.table_name, ctx)
    blob = ctx.storage.head(parameters.source)
    path = fetched()
    ctx.report_progress(40, f"fetched {parameters.source}")
    partitions = min(1 + blob.size // _PARTITION_BYTES, _MAX_PARTITIONS)
    planned = layers.planned_layers(path, parameters, partitions, keep=keep)
    if parameters.joins:
        alone = sum(len(layer.tables) for layer in planned) == 1
        planned = tuple(_conformed(layer, parameters, alone, ctx) for layer in planned)
    tables = [table for layer in planned for table in layer.tables]
    if parameters.item_id is not None and len(tables) > 1:
        raise InvalidRequest(
            f"item_id {parameters.item_id} is for one table, but {parameters.source} becomes "
            f"{', '.join(table.name for table in tables[:10])}.",
            hint="Leave item_id out.",
        )
    for table in tables:
        _require_free(parameters, table.name, ctx)
        if not parameters.joins:
            _require_own_item(parameters, table, len(tables) == 1, ctx)
    prepared = PreparedVector(layers=planned, size_bytes=blob.size, etag=blob.etag, started_at=started)
    ctx.tables.drop_leftovers(parameters.schema_name, ctx.job_id)
    for number in range(len(prepared.layers)):
        for staging in prepared.staging(ctx.job_id, number):
            ctx.tables.create(staging)
    names = ", ".join(f"{t.name} ({t.geometry_type}, {len(t.columns)} columns)" for t in tables[:10])
    ctx.report_progress(100, f"{sum(layer.feature_count for layer in planned):,} features for {names}")
    return prepared


def _conformed(layer: LayerPlan, parameters: ProcessVectorParameters, alone: bool, ctx: TaskContext) -> LayerPlan:
    tables = []
    for planned in layer.tables:
        live = ctx.tables.live(planned.schema_name, planned.name)
        tables.append(joining.conformed(planned, live, layer.source.shown))
        assert live is not None and live.catalog is not None  # conformed raises otherwise
        describing.require_kept(parameters, planned, live.catalog, alone=alone)
        if parameters.write_mode is WriteMode.UPSERT:
            joining.upsert_key(parameters, planned, live)  # raises before a row is loaded
    return layer.model_copy(update={"tables": tuple(tables)})


def _require_own_item(parameters: ProcessVectorParameters, table: TablePlan, alone: bool, ctx: TaskContext) -> None:
    """Raise Conflict when the table has another item, or its item is something else's."""
    live = ctx.tables.live(table.schema_name, table.name)
    wanted = describing.requested_item(parameters, table, alone=alone)
    if live is not None and live.catalog is not None:
        require_item(live.catalog, parameters.collection_id, wanted)
    holder = ctx.tables.item_holder(parameters.collection_id, wanted, table.name)
    if holder is not None:
        raise item_taken(parameters.collection_id, wanted, holder)


def _require_free(parameters: ProcessVectorParameters, name: str, ctx: TaskContext) -> None:
    if parameters.write_mode is WriteMode.CREATE and ctx.tables.exists(parameters.schema_name, name):
        raise TargetExists(
            f"Table {parameters.schema_name}.{name} exists already.",
            hint="Send overwrite=true, write_mode append or upsert, or another table name.",
        )
