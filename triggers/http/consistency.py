"""`/api/admin/consistency`: what of the catalogue disagrees with itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from composition import Runtime
from core.contracts.consistency import ReconcileParameters
from core.contracts.principals import Principal
from core.contracts.repairs import RepairStacItemsParameters
from core.errors import Conflict
from core.models.consistency import (
    ComparisonScope,
    ConsistencyFinding,
    ConsistencyRun,
    DriftKind,
    DriftSeverity,
    FindingState,
    Repair,
)
from infrastructure.postgres.consistency import FindingFilter
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, Prose, Word, cursor, position
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/consistency", tags=["consistency"])
FindingId = Annotated[int, Path(ge=1, lt=1 << 63, description="The number of it.")]
About = Annotated[Word | None, Query(alias="object", description="Of this object only.")]
_FINDINGS, _RUNS, _REPAIRS = "findings", "comparisons", "repairs"


class FindingPage(BaseModel):
    """Some findings, newest first, and how many are open of each kind. `next_cursor` is null at the end."""

    count: int
    findings: list[ConsistencyFinding]
    open: dict[str, int]
    next_cursor: str | None


class FindingAnswer(BaseModel):
    """A finding."""

    success: bool = True
    finding: ConsistencyFinding


class RunPage(BaseModel):
    """Some comparisons, newest first. `next_cursor` is null at the end."""

    count: int
    runs: list[ConsistencyRun]
    next_cursor: str | None


class CompareBody(BaseModel):
    """How much to compare."""

    model_config = ConfigDict(extra="forbid")

    scope: ComparisonScope = ComparisonScope.FULL


class Comparison(BaseModel):
    """The job that compares."""

    success: bool = True
    job_id: str
    already_running: bool


class RepairBody(BaseModel):
    """Which findings; without numbers all that need no person. With `dry_run` the job only says what it would mend."""

    model_config = ConfigDict(extra="forbid")

    findings: Annotated[list[Annotated[int, Field(ge=1, lt=1 << 63)]], Field(max_length=1000)] = []
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    dry_run: bool = True


class RepairPage(BaseModel):
    """Some repairs, newest first. `next_cursor` is null at the end."""

    count: int
    repairs: list[Repair]
    next_cursor: str | None


class RepairAnswer(BaseModel):
    """A repair."""

    success: bool = True
    repair: Repair


class RepairJob(BaseModel):
    """The job that mends."""

    success: bool = True
    job_id: str
    already_running: bool


class Dismissal(BaseModel):
    """Why it may stay."""

    model_config = ConfigDict(extra="forbid")

    reason: Prose


@router.get("/findings")
def findings(
    runtime: TheRuntime,
    _: Admin,
    limit: Limit = 50,
    after: Cursor = None,
    state: FindingState | None = FindingState.OPEN,
    kind: DriftKind | None = None,
    severity: DriftSeverity | None = None,
) -> FindingPage:
    """Findings in one state, newest first."""
    place = position(_FINDINGS, after, 1)
    found = runtime.consistency.findings(FindingFilter(state, kind, severity, place[0] if place else None), limit)
    following = cursor(_FINDINGS, found[-1].finding_id) if len(found) == limit else None
    return FindingPage(count=len(found), findings=found, open=dict(runtime.consistency.counts()), next_cursor=following)


@router.get("/findings/{finding_id}")
def finding(finding_id: FindingId, runtime: TheRuntime, _: Admin) -> FindingAnswer:
    """One finding."""
    return FindingAnswer(finding=runtime.consistency.finding(finding_id))


@router.post("/findings/{finding_id}/dismiss")
def dismiss(finding_id: FindingId, body: Dismissal, runtime: TheRuntime, caller: Admin) -> FindingAnswer:
    """Let it stay. It is not reported again before it was gone and came back."""
    return FindingAnswer(finding=runtime.consistency.dismiss(finding_id, body.reason, caller))


@router.get("/runs")
def runs(runtime: TheRuntime, _: Admin, limit: Limit = 50, after: Cursor = None) -> RunPage:
    """Comparisons that were finished."""
    place = position(_RUNS, after, 1)
    found = runtime.consistency.runs(place[0] if place else None, limit)
    following = cursor(_RUNS, found[-1].run_id) if len(found) == limit else None
    return RunPage(count=len(found), runs=found, next_cursor=following)


@router.post("/run", status_code=202)
def run(runtime: TheRuntime, caller: Admin, body: CompareBody | None = None) -> Comparison:
    """Compare now, unless a comparison that somebody asked for is running."""
    asked = runtime.machine.prepare(
        "reconcile", ReconcileParameters(scope=(body or CompareBody()).scope), submitted_by=caller.client_id
    )
    accepted = runtime.operations.submit(asked, caller)
    runtime.machine.announce()
    return Comparison(job_id=asked.job_id, already_running=not accepted.created)


@router.post("/findings/{finding_id}/repair", status_code=202)
def repair_finding(finding_id: FindingId, runtime: TheRuntime, caller: Admin) -> RepairJob:
    """Mend one finding now. Conflict for one that needs a person, or is not open."""
    found = runtime.consistency.finding(finding_id)
    if found.state is not FindingState.OPEN or not found.automatic:
        why = f"is {found.state}" if found.state is not FindingState.OPEN else "needs a person"
        raise Conflict(f"Finding {finding_id} {why}.", hint=found.proposed_repair)
    return _repair(runtime, caller, RepairBody(findings=[finding_id], dry_run=False))


@router.post("/repair", status_code=202)
def repair(body: RepairBody, runtime: TheRuntime, caller: Admin) -> RepairJob:
    """Mend open findings that need no person."""
    return _repair(runtime, caller, body)


@router.get("/repairs")
def repairs(runtime: TheRuntime, _: Admin, limit: Limit = 50, after: Cursor = None, about: About = None) -> RepairPage:
    """What was mended, of one object or of all."""
    place = position(_REPAIRS, after, 1)
    found = runtime.repairs.page(place[0] if place else None, about, limit)
    following = cursor(_REPAIRS, found[-1].repair_id) if len(found) == limit else None
    return RepairPage(count=len(found), repairs=found, next_cursor=following)


@router.post("/repairs/{repair_id}/undo")
def undo(repair_id: FindingId, runtime: TheRuntime, caller: Admin) -> RepairAnswer:
    """Have everything as it was before a repair, and its finding dismissed. Conflict where it was changed since."""
    return RepairAnswer(repair=runtime.repairs.undo(repair_id, caller))


def _repair(runtime: Runtime, caller: Principal, body: RepairBody) -> RepairJob:
    wanted = RepairStacItemsParameters(
        findings=tuple(body.findings), limit=body.limit, dry_run=body.dry_run, requested_by=caller.name
    )
    asked = runtime.machine.prepare("repair_stac_items", wanted, submitted_by=caller.client_id)
    accepted = runtime.operations.submit(asked, caller)
    runtime.machine.announce()
    return RepairJob(job_id=asked.job_id, already_running=not accepted.created)
