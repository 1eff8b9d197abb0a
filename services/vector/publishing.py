"""How do loaded tables get their places? Indexed and described here; swapped or merged when the task completes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.contracts.context import TaskContext
from core.contracts.effects import (
    MergeFeatureTable,
    RemoveFeatureTable,
    SwapFeatureTable,
    UpsertDatasetRef,
    UpsertStacItem,
)
from core.contracts.tables import FeatureTable, LiveTable, TableFacts, TableIndexes
from core.contracts.vector import (
    CreateVectorStac,
    LayerPlan,
    PublishedTable,
    TablePlan,
    UploadedVector,
    VectorPublished,
)
from core.contracts.vector_findings import Finding
from core.errors import CrsMismatch, DataError, GeomachineError, NoFeatures, RequestError, TargetChanged
from core.models.catalog import GeoTableCatalog, VectorEtlTracking, WriteMode
from services.vector import columns, default_styles, describing, extents, joining, reference_systems
from services.vector.families import family_of
from services.vector.findings import merged
from services.vector.metadata import VectorMetadata


@dataclass(frozen=True)
class _Loaded:
    """An unfinished table with rows, its plan, and what was told of its layer and of it, the `position`th there."""

    plan: TablePlan
    staging: FeatureTable
    layer: LayerPlan
    position: int
    uploads: tuple[UploadedVector, ...]
    rows: int
    live: LiveTable | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of the layer's planning, of reading it, and of what went into this table."""
        told = (f for u in self.uploads for f in (*u.findings, *u.tables[self.position].findings))
        return merged([*self.layer.findings, *told])

    @property
    def counted(self) -> TableFacts | None:
        """What was counted while its rows were written; None where only looking at them tells their types."""
        bounds = extents.together(u.tables[self.position].bounds for u in self.uploads)
        family = family_of(self.plan.geometry_type).name
        if bounds is None or family == "Geometry":
            return None
        return TableFacts(self.rows, bounds, (family,), None)


@contextlib.contextmanager
def tidied(ctx: TaskContext, schema: str) -> Iterator[None]:
    """Drop the job's unfinished tables when an error says that no other attempt will use them."""
    try:
        yield
    except (DataError, RequestError):
        # Best effort: what somebody still writes into is dropped by the timer.
        with contextlib.suppress(GeomachineError):
            ctx.tables.drop_leftovers(schema, ctx.job_id)
        raise


def index(task: CreateVectorStac, ctx: TaskContext) -> None:
    """Keys, indexes and tile views of the unfinished tables. Repeatable. Raises NoFeatures when none has a row."""
    options = task.parameters
    loaded = _loaded(task, ctx)
    for number, table in enumerate(loaded, 1):
        if table.live is not None:
            ctx.tables.index(table.staging, TableIndexes(spatial=False))
            if options.write_mode is WriteMode.UPSERT:
                ctx.tables.require_key(table.staging, joining.upsert_key(options, table.plan, table.live))
        else:
            ctx.tables.index(table.staging, _indexes(task, table.plan))
            if options.create_tile_view:
                ctx.tables.build_tile_view(table.staging, options.max_tile_vertices)
        ctx.report_progress(70 * number / len(loaded), f"indexed {table.plan.name}")


def publish(task: CreateVectorStac, ctx: TaskContext) -> VectorPublished:
    """Describe every table; the swaps, or merges, and the items are written when the task completes."""
    loaded = _loaded(task, ctx)
    now = datetime.now(UTC)
    # In the order of their names, so that two jobs with the same tables wait for each other instead of deadlocking.
    made = {t.plan.name: _publish(task, t, len(loaded) == 1, now, ctx) for t in sorted(loaded, key=_name)}
    if task.parameters.write_mode is WriteMode.OVERWRITE:
        _retire_others(task, set(made), ctx)
    return VectorPublished(
        tables=tuple(made[t.plan.name] for t in loaded),
        rows_read=sum(u.rows_read for u in task.uploaded),
        findings=merged(_noticed(task)),
    )


def _retire_others(task: CreateVectorStac, made: set[str], ctx: TaskContext) -> None:
    """Tables that the file had before and has no longer leave with the swap of the others.

    Where the public sees one of them, but none that is replaced, it stays: nobody is asked before this job ends.
    """
    schema = task.parameters.schema_name
    reviewed = any(ctx.tables.held(schema, name).published for name in made)
    for name in ctx.tables.asked_for(task.parameters.table_name):
        if name not in made and (reviewed or not ctx.tables.held(schema, name).published):
            reason = f"{task.parameters.source} no longer has features for it."
            ctx.commit_with(RemoveFeatureTable(schema, name, f"{ctx.job_type} {ctx.job_id[:8]}", reason, force=True))


def _name(table: _Loaded) -> str:
    return table.plan.name


def _noticed(task: CreateVectorStac) -> Iterator[Finding]:
    """Every finding of the job, in the order of layers and features."""
    for number, layer in enumerate(task.prepared.layers):
        yield from layer.findings
        for upload in task.uploaded:
            if upload.layer == number:
                yield from upload.findings
                yield from (f for table in upload.tables for f in table.findings)


def _loaded(task: CreateVectorStac, ctx: TaskContext) -> list[_Loaded]:
    """The tables that have rows. Raises NoFeatures when there is none."""
    found = []
    for number, layer in enumerate(task.prepared.layers):
        uploads = tuple(u for u in task.uploaded if u.layer == number)
        for position, staging in enumerate(task.prepared.staging(ctx.job_id, number)):
            rows = sum(u.tables[position].rows_written for u in uploads)
            plan = layer.tables[position]
            live = _joined(layer, plan, ctx) if task.parameters.joins else None
            if rows:
                found.append(_Loaded(plan, staging, layer, position, uploads, rows, live))
    if not found:
        read = sum(u.rows_read for u in task.uploaded)
        reasons = " ".join(f.message for f in merged(_noticed(task))) or "Nothing could be read."
        raise NoFeatures(f"None of the {read:,} features of {task.parameters.source} can be stored. {reasons}")
    return found


def _joined(layer: LayerPlan, plan: TablePlan, ctx: TaskContext) -> LiveTable:
    """The table that the rows join, as it is now. Raises SchemaMismatch when they no longer fit."""
    live = ctx.tables.live(plan.schema_name, plan.name)
    return joining.require_planned(plan, live, layer.source.shown)


def _publish(task: CreateVectorStac, table: _Loaded, alone: bool, now: datetime, ctx: TaskContext) -> PublishedTable:
    key: tuple[str, ...] = ()
    if table.live is not None and task.parameters.write_mode is WriteMode.UPSERT:
        key = joining.upsert_key(task.parameters, table.plan, table.live)
    loaded = _described(task, table, key, alone, now, ctx)
    metadata = describing.described(loaded)
    ctx.commit_with(
        _swap(task, table, metadata, ctx) if table.live is None else _merge(table, table.live, key, metadata)
    )
    ref = metadata.to_dataset_ref()
    if ref is not None:
        ctx.commit_with(UpsertDatasetRef(ref))
    ctx.commit_with(UpsertStacItem(metadata.to_stac_collection(), metadata.to_stac_item()))
    return describing.published(loaded, metadata.catalog)


def _described(
    task: CreateVectorStac, table: _Loaded, key: tuple[str, ...], alone: bool, now: datetime, ctx: TaskContext
) -> describing.LoadedTable:
    temporal = _temporal(task, table)
    if table.live is None:
        counted = table.counted if temporal is None else None
        facts = counted or ctx.tables.facts(table.staging, temporal)
    else:
        facts = ctx.tables.merged_facts(table.staging, table.live, key, temporal)
    _require_degrees(facts, table)
    return describing.LoadedTable(
        parameters=task.parameters,
        prepared=task.prepared,
        uploads=table.uploads,
        source=table.layer.source,
        plan=table.plan,
        rows_written=table.rows,
        findings=table.findings,
        facts=facts,
        bbox=reference_systems.lonlat_bounds(facts.bbox, task.parameters.target_crs),
        temporal_column=temporal,
        primary_key=_indexes(task, table.plan).primary_key,
        live=table.live,
        alone=alone,
        job_id=ctx.job_id,
        job_type=ctx.job_type,
        now=now,
    )


def _swap(task: CreateVectorStac, table: _Loaded, metadata: VectorMetadata, ctx: TaskContext) -> SwapFeatureTable:
    catalog, tracking = _rows(metadata)
    asked = task.parameters.style_attribute
    attribute = None if asked is None else _resolved([asked], task, table.plan, "style_attribute")[0]
    return SwapFeatureTable(
        schema=table.plan.schema_name,
        staging=table.staging.name,
        table=table.plan.name,
        catalog=catalog,
        tracking=tracking,
        overwrite=task.parameters.write_mode is WriteMode.OVERWRITE,
        style=default_styles.default_style(ctx.tables, table.staging, table.plan, attribute),
    )


def _merge(table: _Loaded, live: LiveTable, key: tuple[str, ...], metadata: VectorMetadata) -> MergeFeatureTable:
    catalog, tracking = _rows(metadata)
    if live.catalog is None or live.catalog.updated_at is None:
        raise TargetChanged(f"Table {live.schema}.{live.name} left the catalogue while rows for it were made.")
    return MergeFeatureTable(
        schema=live.schema,
        staging=table.staging.name,
        table=live.name,
        columns=tuple(c.name for c in table.plan.columns),
        key=key,
        expected=live.catalog.updated_at,
        catalog=catalog,
        tracking=tracking,
    )


def _rows(metadata: VectorMetadata) -> tuple[GeoTableCatalog, VectorEtlTracking]:
    catalog, tracking = metadata.split_to_catalog_and_tracking()
    assert tracking is not None  # described with the run that made it
    return catalog, tracking


def _indexes(task: CreateVectorStac, plan: TablePlan) -> TableIndexes:
    wanted, key = task.parameters.indexes, task.parameters.primary_key
    return TableIndexes(
        spatial=wanted.spatial,
        cluster=wanted.cluster,
        primary_key="id" if key is None else _resolved([key], task, plan, "primary_key")[0],
        attributes=_resolved(wanted.attributes, task, plan, "indexes.attributes"),
        temporal=_resolved(wanted.temporal, task, plan, "indexes.temporal"),
    )


def _temporal(task: CreateVectorStac, table: _Loaded) -> str | None:
    if table.live is not None and table.live.catalog is not None:
        return table.live.catalog.temporal_property
    asked = task.parameters.temporal_property
    return None if asked is None else _resolved([asked], task, table.plan, "temporal_property")[0]


def _resolved(names: Sequence[str], task: CreateVectorStac, plan: TablePlan, what: str) -> tuple[str, ...]:
    return columns.resolve(names, plan.columns, str(task.parameters.source), what)


def _require_degrees(facts: TableFacts, table: _Loaded) -> None:
    """Refuse numbers that nobody can mean as degrees; single features beyond the range were only reported."""
    minx, miny, maxx, maxy = facts.bbox
    if table.plan.srid == 4326 and (minx > 360 or maxx < -360 or miny > 180 or maxy < -180):
        raise CrsMismatch(
            f"{table.layer.source.shown} is said to be in {table.layer.source.crs}, but its coordinates, x {minx:.10g} "
            f"to {maxx:.10g} and y {miny:.10g} to {maxy:.10g}, are no degrees.",
            hint="Set input_crs to the CRS that the numbers are in.",
        )
