"""A dry run: all that submitting a request would lead to, told without doing it and kept to be submitted as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from pydantic import JsonValue

from core.contracts.plans import Collision, Look, Obstacle, PlannedSource, PlanOutline, PlanStore, StoredPlan
from core.contracts.platform import SubmitRequest
from core.contracts.principals import Principal
from core.contracts.requests import KnownRequest, RequestStore
from core.contracts.storage import StoredBlob
from core.errors import Conflict, GeomachineError, NotFound, TransientError
from core.machine.registry import Registry
from core.states import terminal_job_statuses
from services.platform.access import data_access
from services.platform.outlook import estimate, stages
from services.platform.outputs import output_names
from services.platform.submit import Accepted, PlatformService, Prepared

KEPT = timedelta(days=1)
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Plan:
    """What was found out. `refusal` is what a submission would be refused with; then there is nothing to keep."""

    sources: tuple[PlannedSource, ...] = ()
    outline: PlanOutline | None = None
    look: Look | None = None
    collisions: tuple[Collision, ...] = ()
    kept: StoredPlan | None = None
    refusal: GeomachineError | None = None


#: Reads the headers of a prepared request's sources. Raises the DataError that its job would end with.
Looker = Callable[[Prepared], Look]


class Planner:
    """Dry runs over the service that submits."""

    def __init__(
        self, platform: PlatformService, registry: Registry, requests: RequestStore, plans: PlanStore, look: Looker
    ) -> None:
        self._platform = platform
        self._registry = registry
        self._requests = requests
        self._plans = plans
        self._look = look

    def plan(self, request: SubmitRequest, caller: Principal, *, base_url: str, keep: bool = True) -> Plan:
        """Everything up to the point of writing. What a submission would be refused with is told, not raised."""
        try:
            prepared = self._platform.prepare(request, caller)
        except TransientError:
            raise
        except GeomachineError as e:
            return Plan(refusal=e)
        sources = tuple(_source(blob) for blob in prepared.blobs)
        outline = self._outline(prepared, base_url)
        collisions = self._collisions(prepared) if keep else ()
        try:
            look = self._look(prepared)
        except TransientError:
            raise
        except GeomachineError as e:
            return Plan(sources, outline, None, collisions, None, e)
        blocking = next((c for c in collisions if c.blocks), None)
        if blocking is not None:
            hint = "Give a new version_id, or set processing_options.overwrite=true."
            return Plan(sources, outline, look, collisions, None, Conflict(blocking.message, hint=hint))
        return Plan(sources, outline, look, collisions, self._keep(prepared, sources) if keep else None)

    def _keep(self, prepared: Prepared, sources: Sequence[PlannedSource]) -> StoredPlan:
        document = prepared.request.model_dump(mode="json", exclude_unset=True)
        return self._plans.save(document, prepared.job.job_id, sources, by=prepared.client_id, keep=KEPT)

    def submit(self, plan_id: str, caller: Principal) -> Accepted:
        """Submit what a plan says and nothing else. Raises NotFound, or Conflict when it would be another job now."""
        plan = self._find(plan_id, caller)
        prepared = self._platform.prepare(SubmitRequest.model_validate(plan.request), caller)
        _same(plan, prepared)
        return self._platform.accept(prepared, caller)

    def plan_again(self, plan_id: str, caller: Principal, *, base_url: str) -> Plan:
        """What would come of a plan's request now, as a plan of its own. Raises NotFound."""
        request = SubmitRequest.model_validate(self._find(plan_id, caller).request)
        return self.plan(request, caller, base_url=base_url)

    def _find(self, plan_id: str, caller: Principal) -> StoredPlan:
        plan = self._plans.plan(plan_id)
        if plan is None or not (caller.may() or plan.submitted_by == caller.client_id):
            raise NotFound(f"There is no plan {plan_id!r}.", hint="Plans are kept for a day; make another dry run.")
        return plan

    def _outline(self, prepared: Prepared, base_url: str) -> PlanOutline:
        planned, mib = prepared.planned, prepared.source.size / _MEBIBYTE
        return PlanOutline(
            data_type=planned.data_type,
            job_type=planned.job_type,
            reason=planned.routing,
            stages=stages(self._registry.job(planned.job_type), prepared.job.first_stage),
            outputs=_outputs(prepared, base_url),
            estimate=estimate(planned.data_type, self._plans.timing(planned.job_type), mib),
        )

    def _collisions(self, prepared: Prepared) -> tuple[Collision, ...]:
        known = self._requests.find(prepared.request_id)
        return (*([_known(known, prepared)] if known else []), *self._platform.collisions(prepared))


def _source(blob: StoredBlob) -> PlannedSource:
    return PlannedSource(
        container_name=blob.name.container,
        blob_name=blob.name.path,
        size_bytes=blob.size,
        etag=blob.etag,
        last_modified=blob.last_modified,
    )


def _outputs(prepared: Prepared, base_url: str) -> dict[str, JsonValue]:
    named = output_names(prepared.job)
    if "item_id" not in named:
        return {**named}
    stac: JsonValue = {"collection_id": named["collection_id"], "item_id": named["item_id"]}
    made: dict[str, JsonValue] = {"stac": stac, **({**named} if "table_name" in named else {"cog": {}})}
    return {**named, "urls": cast("JsonValue", data_access(made, base_url))}


def _known(known: KnownRequest, prepared: Prepared) -> Collision:
    request, ended, now = known.request, known.job_status in terminal_job_statuses(), prepared.source
    source = (request.source_container, request.source_path, request.source_etag)
    same = source == (now.container, now.path, now.etag)
    if request.client_id != prepared.client_id:
        blocks, what = True, "it belongs to another client"
    elif prepared.request.processing_options.overwrite:
        blocks, what = not ended, "its output would be replaced" if ended else "it must end before it is overwritten"
    else:
        blocks, what = not same, "submitting again gives that job" if same else "it was made from other bytes"
    state = f"Request {request.request_id} has these ids; its job is {known.job_status.value}"
    return Collision(kind=Obstacle.REQUEST, name=request.request_id, message=f"{state}; {what}.", blocks=blocks)


def _same(plan: StoredPlan, prepared: Prepared) -> None:
    now = [_source(blob) for blob in prepared.blobs]
    changed = [
        n.blob_name for s, n in zip(plan.sources, now, strict=True) if (s.etag, s.size_bytes) != (n.etag, n.size_bytes)
    ]
    if changed:
        raise Conflict(
            f"{changed[0]} has changed since plan {plan.plan_id} was made.",
            hint="Make another dry run and look at it.",
        )
    if prepared.job.job_id != plan.job_id:
        raise Conflict(
            f"The request of plan {plan.plan_id} now leads to another job: settings have changed since.",
            hint="Make another dry run and look at it.",
        )
