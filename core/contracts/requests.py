"""Partners' requests as the platform service keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.contracts.principals import Principal
from core.machine.store import NewJob
from core.models.platform import ApiRequest
from core.states import JobStatus


@dataclass(frozen=True)
class KnownRequest:
    """A request that was accepted before, and how its job is."""

    request: ApiRequest
    job_type: str
    job_status: JobStatus


class RequestStore(Protocol):
    """Where requests are kept."""

    def find(self, request_id: str) -> KnownRequest | None:
        """The request of that id."""
        ...

    def accept(
        self, request: ApiRequest, job: NewJob, by: Principal, *, known: KnownRequest | None, rerun: bool
    ) -> bool:
        """Write the request and its job in one transaction; False when it is no longer as `known` says.

        `rerun` gives a finished job a new run.
        """
        ...
