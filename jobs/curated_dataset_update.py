"""curated_dataset_update: a reference dataset is fetched from its source when that has something new."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.curated import (
    CURATED_CHECK,
    CURATED_ETL,
    CURATED_FETCH,
    CURATED_FINALIZE,
    JOB_TYPE,
    CuratedUpdateParameters,
    CuratedUpdateResult,
    FetchCurated,
    FetchedSource,
    FinalizeCurated,
    Verdict,
)
from core.contracts.jobs import Job, StacReference, Stage, StageResults, TaskSpec

_CHECK, _FETCH, _ETL, _FINALIZE = (
    "curated_check_source",
    "curated_fetch_data",
    "curated_etl_process",
    "curated_finalize",
)
_NOTHING = "nothing to do"


def _check(parameters: CuratedUpdateParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("check", parameters)


def _fetch(parameters: CuratedUpdateParameters, results: StageResults) -> Iterator[TaskSpec]:
    checked = results.one(CURATED_CHECK, _CHECK)
    if checked.verdict is Verdict.UPDATE and not parameters.dry_run:
        yield TaskSpec("fetch", FetchCurated(parameters=parameters, checked=checked))


def _etl(_: CuratedUpdateParameters, results: StageResults) -> Iterator[TaskSpec]:
    fetched = _fetched(results)
    if fetched is not None and fetched.load is not None:
        yield TaskSpec("load", fetched.load)


def _finalize(_: CuratedUpdateParameters, results: StageResults) -> Iterator[TaskSpec]:
    fetched = _fetched(results)
    for processed in results.of(CURATED_ETL, _ETL).values():
        assert fetched is not None  # it was loaded
        checked = results.one(CURATED_CHECK, _CHECK)
        yield TaskSpec("finalize", FinalizeCurated(checked=checked, fetched=fetched, processed=processed))


def _fetched(results: StageResults) -> FetchedSource | None:
    return next(iter(results.of(CURATED_FETCH, _FETCH).values()), None)


def _result(parameters: CuratedUpdateParameters, results: StageResults) -> CuratedUpdateResult:
    checked, fetched = results.one(CURATED_CHECK, _CHECK), _fetched(results)
    processed = next(iter(results.of(CURATED_ETL, _ETL).values()), None)
    records = next(iter(results.of(CURATED_FINALIZE, _FINALIZE).values()), None)
    items = tuple(
        StacReference(collection_id=t.collection_id, item_id=t.item_id)
        for t in (processed.published.tables if processed else ())
    )
    last = fetched or checked
    return CuratedUpdateResult(
        job_type=JOB_TYPE,
        stac=items[0] if items else None,
        stac_items=items,
        dataset_id=parameters.dataset_id,
        table_name=checked.dataset.target_table_name,
        outcome=_outcome(parameters, last.verdict),
        message=last.reason,
        dry_run=parameters.dry_run,
        source_version=fetched.source_version if fetched else None,
        records=records,
        access_level=checked.dataset.access_level,
        stages={
            _CHECK: checked.reason,
            _FETCH: fetched.reason if fetched else _NOTHING,
            _ETL: f"{records.total:,} records" if records else _NOTHING,
            _FINALIZE: "written down" if records else _NOTHING,
        },
    )


def _outcome(parameters: CuratedUpdateParameters, verdict: Verdict) -> str:
    if verdict is not Verdict.UPDATE:
        return verdict.value
    return "would_update" if parameters.dry_run else "updated"


JOB = Job(
    name=JOB_TYPE,
    description="Fetch a curated dataset from its source, if that has something new, and load it.",
    parameters=CuratedUpdateParameters,
    result=CuratedUpdateResult,
    stages=(
        Stage(_CHECK, CURATED_CHECK, _check),
        Stage(_FETCH, CURATED_FETCH, _fetch),
        Stage(_ETL, CURATED_ETL, _etl),
        Stage(_FINALIZE, CURATED_FINALIZE, _finalize),
    ),
    finalize=_result,
    repeatable=True,
)
