"""What is told about external services: what they are, how a check went, what changes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from core.models.record import Json
from core.models.services import ExternalService, ServiceStatus, ServiceType

#: Topic of the outbox that changes of state are promised to.
ALERTS = "service-outage-alerts"


@dataclass(frozen=True)
class Detection:
    """What a service was recognised as. `confidence` is 1 where its own document says so."""

    type: ServiceType
    confidence: float
    probe_url: str
    capabilities: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How one check went. `reason` is set where it failed."""

    status_code: int | None
    response_ms: int | None
    reason: str | None = None
    detection: Detection | None = None

    @property
    def healthy(self) -> bool:
        """Whether the service answered as what it is."""
        return self.reason is None


class Alert(StrEnum):
    """A change that people want to hear of."""

    OFFLINE = "offline"  #: it stopped answering
    DEGRADED = "degraded"  #: it answers slowly
    RECOVERED = "recovered"  #: it answers again as it should


@dataclass(frozen=True)
class Judgement:
    """How a service stands after a check, when the next is due, and whether somebody is told."""

    status: ServiceStatus
    failures: int
    slow: int
    wait_minutes: float
    alert: Alert | None = None


Judge = Callable[[ExternalService, Outcome], Judgement]


class ServiceStore(Protocol):
    """The registry as the checks see it."""

    def claim_due(self, limit: int, lease_seconds: float) -> Sequence[ExternalService]:
        """Services whose check is due; nobody else gets them for so long."""
        ...

    def record(self, service_id: str, outcome: Outcome, judge: Judge) -> ExternalService | None:
        """Judge under a lock, keep state, history and alert in one transaction; None when it is gone."""
        ...
