"""The stages of an update of a curated dataset: look at the source, bring it here, write down what was loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.contracts.context import TaskContext
from core.contracts.curated import (
    CheckedSource,
    CuratedRecords,
    CuratedUpdateParameters,
    FetchCurated,
    FetchedSource,
    FinalizeCurated,
    Verdict,
)
from core.contracts.effects import NoteCurated
from core.contracts.outbound import Answer
from core.contracts.storage import BlobName
from core.errors import RemoteAnswerRefused, RemoteUnavailable, UnreadableSource
from core.models.catalog import WriteMode
from core.models.curated import CuratedDataset, CuratedSourceType, CuratedUpdateStatus, CuratedUpdateStrategy
from services.curated import definitions, versions

_STATUS = {
    Verdict.NO_UPDATE_NEEDED: CuratedUpdateStatus.NO_UPDATE_NEEDED,
    Verdict.SKIPPED: CuratedUpdateStatus.SKIPPED,
}


def check_source(parameters: CuratedUpdateParameters, ctx: TaskContext) -> CheckedSource:
    """Whether the source has something new, as far as it states that. Raises NotFound and what asking it does."""
    dataset = ctx.curated.dataset(parameters.dataset_id)
    live = ctx.tables.live("geo", dataset.target_table_name)
    rows = None if live is None else live.catalog.feature_count if live.catalog else 0
    loaded = dataset.source_version if live is not None and not parameters.force_update else None
    verdict, reason = _obstacle(dataset, parameters, ctx) or _compared(dataset, loaded, ctx)
    _note(parameters, ctx, _STATUS.get(verdict, CuratedUpdateStatus.DOWNLOADING), reason)
    return CheckedSource(verdict=verdict, reason=reason, dataset=dataset, rows_before=rows)


def fetch_data(task: FetchCurated, ctx: TaskContext) -> FetchedSource:
    """The file in shared storage, under a name made from its content, unless that is what was loaded last."""
    dataset, path = task.checked.dataset, ctx.workdir / "fetched"
    stated = _downloaded(dataset, path, ctx)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if path.stat().st_size == 0:
        raise UnreadableSource(f"{dataset.source_url} is empty.", hint="The table stays as it is.")
    version = stated or versions.of_content(sha256)
    there = task.checked.rows_before is not None
    if there and sha256 == dataset.content_sha256 and not task.parameters.force_update:
        reason = "The source has the same content as before."
        status = CuratedUpdateStatus.NO_UPDATE_NEEDED
        _note(task.parameters, ctx, status, reason, version=version, content=sha256, dataset=dataset)
        verdict = Verdict.NO_UPDATE_NEEDED
        return FetchedSource(verdict=verdict, reason=reason, source_version=version, content_sha256=sha256, load=None)
    joins = there and dataset.update_strategy is CuratedUpdateStrategy.UPSERT
    load = definitions.loading(dataset, sha256, joins=joins)
    ctx.storage.upload(path, load.source)
    _note(task.parameters, ctx, CuratedUpdateStatus.PROCESSING, version=version)
    return FetchedSource(
        verdict=Verdict.UPDATE,
        reason=f"{path.stat().st_size:,} bytes, kept as {load.source}.",
        source_version=version,
        content_sha256=sha256,
        load=load,
    )


def finalize(task: FinalizeCurated, ctx: TaskContext) -> CuratedRecords:
    """Count what changed, let the files of earlier versions go, and remember which version is loaded."""
    load, dataset, before = task.fetched.load, task.checked.dataset, task.checked.rows_before or 0
    assert load is not None  # planned only for what was loaded
    tables = task.processed.published.tables
    written, total = sum(t.rows_written for t in tables), sum(t.row_count for t in tables)
    joined = load.write_mode is WriteMode.UPSERT
    records = CuratedRecords(
        added=total - before if joined else written,
        updated=written - (total - before) if joined else 0,
        deleted=0 if joined else before,
        total=total,
    )
    for blob in list(ctx.storage.list(load.container_name, definitions.folder(dataset.dataset_id))):
        if blob.name != load.source:
            ctx.storage.delete(blob.name)
    ctx.commit_with(
        NoteCurated(
            dataset_id=dataset.dataset_id,
            job_id=ctx.job_id,
            status=CuratedUpdateStatus.PROCESSING,
            source_version=task.fetched.source_version,
            content_sha256=task.fetched.content_sha256,
            defined_at=dataset.updated_at,
            records=(records.added, records.updated, records.deleted, records.total),
        )
    )
    return records


def _obstacle(
    dataset: CuratedDataset, parameters: CuratedUpdateParameters, ctx: TaskContext
) -> tuple[Verdict, str] | None:
    other = ctx.curated.updating(dataset.dataset_id)
    if not parameters.dry_run and other not in (None, ctx.job_id):
        return Verdict.SKIPPED, f"Job {other} is updating {dataset.dataset_id}."
    upserts = dataset.update_strategy is CuratedUpdateStrategy.UPSERT
    if upserts and ctx.curated.under_review(dataset.target_table_name):
        # Another change would take its place in the review, and its rows would be lost.
        return Verdict.SKIPPED, f"An earlier update of {dataset.target_table_name} waits for its review."
    return None


def _compared(dataset: CuratedDataset, loaded: str | None, ctx: TaskContext) -> tuple[Verdict, str]:
    if dataset.source_type is CuratedSourceType.BLOB:
        version: str | None = versions.of_blob(ctx.storage.head(definitions.blob(dataset)).etag)
    else:
        answer = ctx.curated.look(dataset.source_url, versions.condition(loaded))
        if answer.status == 304:
            return Verdict.NO_UPDATE_NEEDED, "The source says that it has nothing new."
        version = versions.stated(_answered(answer, dataset).headers)
    if loaded is not None and version == loaded:
        return Verdict.NO_UPDATE_NEEDED, f"The source is still at version {version}."
    if version is None:
        return Verdict.UPDATE, "The source states no version: its content will tell."
    return Verdict.UPDATE, f"The source is at version {version}."


def _downloaded(dataset: CuratedDataset, path: Path, ctx: TaskContext) -> str | None:
    if dataset.source_type is CuratedSourceType.BLOB:
        name: BlobName = definitions.blob(dataset)
        return versions.of_blob(ctx.storage.download(name, path).etag)
    return versions.stated(_answered(ctx.curated.save(dataset.source_url, path), dataset).headers)


def _answered(answer: Answer, dataset: CuratedDataset) -> Answer:
    """Raises RemoteUnavailable for what may pass, RemoteAnswerRefused for what will not."""
    if answer.status == 200:
        return answer
    message = f"{dataset.source_url} answers with status {answer.status}."
    if answer.status in (408, 429) or answer.status >= 500:
        raise RemoteUnavailable(message)
    raise RemoteAnswerRefused(message, hint="Correct source_url, or ask who runs the source.")


def _note(
    parameters: CuratedUpdateParameters,
    ctx: TaskContext,
    status: CuratedUpdateStatus,
    message: str | None = None,
    *,
    version: str | None = None,
    content: str | None = None,
    dataset: CuratedDataset | None = None,
) -> None:
    if not parameters.dry_run:
        ended = status in _STATUS.values()
        ctx.commit_with(
            NoteCurated(
                dataset_id=parameters.dataset_id,
                job_id=ctx.job_id,
                status=status,
                message=message if ended else None,
                source_version=version,
                content_sha256=content,
                defined_at=dataset.updated_at if dataset else None,
            )
        )
