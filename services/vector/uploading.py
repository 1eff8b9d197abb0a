"""How does a partition of a file get into the unfinished tables? Once, whoever repeats it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
from pydantic import JsonValue

from core.contracts.context import TaskContext
from core.contracts.tables import FeatureTable
from core.contracts.vector import UploadedTable, UploadedVector, UploadVector
from core.errors import Conflict, Interrupted, InvalidGeometry, UnsupportedFormat
from services.vector import opening
from services.vector.findings import Findings
from services.vector.loading import Load, cleaning_target, in_background


def upload(task: UploadVector, ctx: TaskContext, fetched: Callable[[], Path]) -> UploadedVector:
    """Read, clean and COPY one partition into the tables of its layer, in one transaction.

    A partition that an earlier attempt loaded is not read again. Raises Conflict when the file was replaced, and
    InvalidGeometry or UnsupportedFormat for a feature that cannot be stored.
    """
    parameters, prepared = task.parameters, task.prepared
    part = prepared.part(task.layer, task.partition)
    staging = prepared.staging(ctx.job_id, task.layer)
    known = ctx.tables.loaded(staging[0].name, part)
    if known is not None:
        return UploadedVector.model_validate(known)
    if ctx.storage.head(parameters.source).etag != prepared.etag:
        raise Conflict(f"{parameters.source} was replaced while it was processed.", hint="Submit it again.")
    findings, load = Findings(), _load(task, ctx)

    def told(rows: Sequence[int]) -> Mapping[str, JsonValue]:
        return _uploaded(task, rows, load, findings).model_dump(mode="json")

    with closing(_cleaned(task, ctx, load, findings, fetched())) as first:
        try:
            output = ctx.tables.load(_streams(task, ctx, load, first), part, told)
        except (InvalidGeometry, UnsupportedFormat) as e:
            # Said of a feature or a value, where nobody knows of which file.
            raise type(e)(f"{prepared.layers[task.layer].source.shown}: {e.message}", hint=e.hint) from e
    return UploadedVector.model_validate(output)


def _load(task: UploadVector, ctx: TaskContext) -> Load:
    layer = task.prepared.layers[task.layer]
    targets = [cleaning_target(layer.source, table, task.parameters) for table in layer.tables]
    return Load(layer.tables, targets, ctx.workdir, layer.partitions[task.partition].first_id)


def _cleaned(
    task: UploadVector, ctx: TaskContext, load: Load, findings: Findings, path: Path
) -> Generator[pa.RecordBatch]:
    layer = task.prepared.layers[task.layer]
    part = layer.partitions[task.partition]
    reader = opening.reopen(path, layer.source)

    def progress() -> None:
        if ctx.should_stop():
            raise Interrupted
        percent = 100 * load.rows_read / max(part.features, 1)
        ctx.report_progress(min(percent, 99.0), f"{load.rows_read:,} of {part.features:,} features")

    return in_background(load.first_batches(reader.batches(findings, part)), progress)


def _streams(
    task: UploadVector, ctx: TaskContext, load: Load, first: Iterable[pa.RecordBatch]
) -> list[tuple[FeatureTable, Iterable[pa.RecordBatch]]]:
    table, *others = task.prepared.staging(ctx.job_id, task.layer)
    return [(table, first), *((other, load.other_batches(number)) for number, other in enumerate(others, 1))]


def _uploaded(task: UploadVector, rows: Sequence[int], load: Load, findings: Findings) -> UploadedVector:
    return UploadedVector(
        layer=task.layer,
        partition=task.partition,
        tables=tuple(
            UploadedTable(rows_written=count, bounds=bounds, findings=noticed.listed())
            for count, bounds, noticed in zip(rows, load.bounds, load.findings, strict=True)
        ),
        rows_read=load.rows_read,
        findings=findings.listed(),
    )
