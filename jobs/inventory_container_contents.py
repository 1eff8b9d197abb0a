"""`inventory_container_contents`: which files a container holds, what they are, and which are catalogued."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.raster_reports import (
    INVENTORY_ANALYZE,
    INVENTORY_LIST,
    FileKind,
    InventoriedFile,
    InventoryParameters,
    InventoryResult,
    Tally,
)

NAME = "inventory_container_contents"
_LIST, _ANALYZE = "list", "analyze"


def _plan_list(params: InventoryParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("container", params)


def _plan_analyze(_: InventoryParameters, results: StageResults) -> Iterable[TaskSpec]:
    for number, page in enumerate(results.one(INVENTORY_LIST, _LIST).pages):
        yield TaskSpec(f"page-{number}", page)


def _finalize(params: InventoryParameters, results: StageResults) -> InventoryResult:
    pages = results.of(INVENTORY_ANALYZE, _ANALYZE)
    found = [file for page in pages.values() for file in page.files]
    shown = [file for file in found if params.include_unrecognized or file.kind is not FileKind.OTHER]
    by_kind: dict[str, list[InventoriedFile]] = defaultdict(list)
    by_extension: dict[str, list[InventoriedFile]] = defaultdict(list)
    for file in found:
        by_kind[file.kind.value].append(file)
        by_extension[file.extension or "none"].append(file)
    return InventoryResult(
        job_type=NAME,
        container=params.container_name,
        prefix=params.prefix,
        total=_tally(found),
        by_kind={kind: _tally(files) for kind, files in sorted(by_kind.items())},
        by_extension={extension: _tally(files) for extension, files in sorted(by_extension.items())},
        cataloged=sum(file.cataloged is not None for file in found),
        files=tuple(sorted(shown, key=lambda file: file.path)),
        next_start=results.one(INVENTORY_LIST, _LIST).next_start,
        stages_completed=len(JOB.stages),
    )


def _tally(files: Iterable[InventoriedFile]) -> Tally:
    sizes = [file.size for file in files]
    return Tally(count=len(sizes), size_mb=round(sum(sizes) / 1e6, 3))


JOB = Job(
    name=NAME,
    description="List a container page by page, classify its files and say which are catalogued.",
    parameters=InventoryParameters,
    result=InventoryResult,
    stages=(
        Stage(_LIST, INVENTORY_LIST, _plan_list),
        Stage(_ANALYZE, INVENTORY_ANALYZE, _plan_analyze, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    repeatable=True,
)
