"""`/api/jobs/services`: map services of others, what they are and how they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from composition import Runtime
from core.contracts.principals import Principal
from core.errors import Forbidden
from core.models.services import ExternalService, ServiceCheck, ServiceStatus, ServiceType
from infrastructure.postgres.external_services import ServiceChange, ServiceFilter
from services.external_services.health import judge
from triggers.http.access import TheRuntime
from triggers.http.paging import Limit, Prose, TextCursor, Word, text_cursor, text_position
from triggers.http.scope import Member, Partner

router = APIRouter(prefix="/api/jobs/services", tags=["external services"])
ServiceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="What registering answered.")]
Tags = Annotated[list[Annotated[Word, Field(min_length=1)]], Field(max_length=50)]
Minutes = Annotated[int, Field(ge=5, le=10080)]
_LIST = "services"


class RegisterService(BaseModel):
    """A service, or a template of tiles with {z}, {x} and {y}."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=8, max_length=2000)]
    name: Annotated[Prose, Field(max_length=255)]
    description: Prose | None = None
    tags: Tags = []
    check_interval_minutes: Minutes = 60


class UpdateService(BaseModel):
    """What changes; what is left out or null stays, but a null `description` is removed.

    `maintenance` pauses checks and alerts, and ends when set to false.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Prose, Field(max_length=255)] | None = None
    description: Prose | None = None
    tags: Tags | None = None
    check_interval_minutes: Minutes | None = None
    enabled: bool | None = None
    maintenance: bool | None = None

    def change(self, said: ServiceChange) -> ServiceChange:
        """What is said about the service then."""
        given = self.model_dump(exclude_unset=True)
        return replace(said, **{k: v for k, v in given.items() if v is not None or k == "description"})


class ServiceAnswer(BaseModel):
    """A service."""

    success: bool = True
    service: ExternalService


class ServiceDetails(ServiceAnswer):
    """A service and how its latest checks went, newest first."""

    health_history: list[ServiceCheck]


class ServicePage(BaseModel):
    """Some services by name. `next_cursor` is null at the end."""

    count: int
    services: list[ExternalService]
    next_cursor: str | None


class ServiceStats(BaseModel):
    """How many services there are, how they are, and how the last day's checks went."""

    total: int
    enabled: int
    due: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    checks_24h: int
    failed_24h: int
    avg_response_ms_24h: float | None


@router.post("/register", status_code=201)
def register(body: RegisterService, runtime: TheRuntime, caller: Partner) -> ServiceAnswer:
    """Look what is behind an address, and keep it. One that does not answer is kept as unknown and checked again."""
    url = body.url.strip().partition("#")[0]
    outcome = runtime.checker.look(url)
    said = ServiceChange(body.name, body.description, tuple(body.tags), body.check_interval_minutes)
    made = runtime.services.register(url, said, caller)
    return ServiceAnswer(service=runtime.services.record(made.service_id, outcome, judge) or made)


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Member,
    limit: Limit = 50,
    after: TextCursor = None,
    status: ServiceStatus | None = None,
    service_type: ServiceType | None = None,
    tag: Word | None = None,
    enabled: bool | None = None,
) -> ServicePage:
    """Services by name, a page at a time."""
    wanted = ServiceFilter(status, service_type, tag, enabled, text_position(_LIST, after, 2))
    found = runtime.services.services(wanted, limit)
    full = len(found) == limit
    following = text_cursor(_LIST, found[-1].name, found[-1].service_id) if full else None
    return ServicePage(count=len(found), services=found, next_cursor=following)


@router.get("/stats")
def stats(runtime: TheRuntime, _: Member) -> ServiceStats:
    """Counts by status and type."""
    return ServiceStats.model_validate(runtime.services.stats())


@router.get("/{service_id}")
def service(
    service_id: ServiceId,
    runtime: TheRuntime,
    _: Member,
    history: Annotated[int, Query(ge=0, le=500, description="How many checks.")] = 20,
) -> ServiceDetails:
    """One service and its history."""
    found = runtime.services.service(service_id)
    return ServiceDetails(service=found, health_history=runtime.services.checks(service_id, history))


@router.patch("/{service_id}")
@router.put("/{service_id}")
def update(service_id: ServiceId, body: UpdateService, runtime: TheRuntime, caller: Partner) -> ServiceAnswer:
    """Change what is said about it; who registered it, or an admin."""
    _own(runtime, service_id, caller)
    return ServiceAnswer(service=runtime.services.update(service_id, body.change, caller))


@router.delete("/{service_id}")
def delete(service_id: ServiceId, runtime: TheRuntime, caller: Partner) -> ServiceAnswer:
    """Forget it with its history; who registered it, or an admin."""
    _own(runtime, service_id, caller)
    return ServiceAnswer(service=runtime.services.delete(service_id, caller))


@router.post("/{service_id}/check")
def check(service_id: ServiceId, runtime: TheRuntime, _: Partner) -> ServiceDetails:
    """Ask it now, whatever its schedule."""
    checked = runtime.checker.check(runtime.services.service(service_id))
    return ServiceDetails(service=checked, health_history=runtime.services.checks(service_id, 20))


@router.post("/{service_id}/enable")
def enable(service_id: ServiceId, runtime: TheRuntime, caller: Partner) -> ServiceAnswer:
    """Have it checked by the clock again; who registered it, or an admin."""
    return update(service_id, UpdateService(enabled=True), runtime, caller)


@router.post("/{service_id}/disable")
def disable(service_id: ServiceId, runtime: TheRuntime, caller: Partner) -> ServiceAnswer:
    """Have it checked no longer; who registered it, or an admin."""
    return update(service_id, UpdateService(enabled=False), runtime, caller)


def _own(runtime: Runtime, service_id: str, caller: Principal) -> ExternalService:
    found = runtime.services.service(service_id)
    if caller.may() or found.created_by == caller.client_id:
        return found
    raise Forbidden(f"Service {service_id} is not {caller.name}'s.", hint="Who registered it or an admin may do this.")
