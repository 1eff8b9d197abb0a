"""Checks services: one on request, and by the clock those that are due."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from core.contracts.outbound import Outbound
from core.contracts.services import Outcome, ServiceStore
from core.errors import AddressRefused, NotFound
from core.models.services import ExternalService, ServiceType
from services.external_services.detection import MOST_QUESTIONS, ask, detect
from services.external_services.health import judge
from services.external_services.storable import storable

_PARALLEL = 8
_UNCERTAIN = (ServiceType.UNKNOWN, ServiceType.GENERIC_REST)


class Checker:
    """Asks services how they are and has the registry keep it. `seconds` is what one question may take."""

    def __init__(self, outbound: Outbound, store: ServiceStore, seconds: float) -> None:
        self._outbound = outbound
        self._store = store
        self._seconds = seconds

    def look(self, url: str) -> Outcome:
        """What is behind an address. Raises AddressRefused."""
        return storable(detect(self._outbound, url, self._seconds))

    def check(self, service: ExternalService) -> ExternalService:
        """Ask now and keep what came of it. Raises NotFound when the service was deleted meanwhile."""
        kept = self._record(service)
        if kept is None:
            raise NotFound(f"There is no service {service.service_id!r} any more.")
        return kept

    def check_due(self, limit: int) -> int:
        """Check up to so many that are due; how many. What another process checks is left to it."""
        # The lease outlasts the slowest batch; who dies in it has them checked again after that.
        lease = self._seconds * MOST_QUESTIONS * math.ceil(limit / _PARALLEL) + 60
        due = self._store.claim_due(limit, lease)
        if not due:
            return 0
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="services") as threads:
            checks = [threads.submit(self._record, service) for service in due]
        for check in checks:  # each has ended: what one raises has kept nobody else from being recorded
            check.result()
        return len(due)

    def _record(self, service: ExternalService) -> ExternalService | None:
        return self._store.record(service.service_id, self._ask(service), judge)

    def _ask(self, service: ExternalService) -> Outcome:
        return storable(self._answer(service))

    def _answer(self, service: ExternalService) -> Outcome:
        try:
            if service.service_type in _UNCERTAIN:
                return self._recognised(detect(self._outbound, service.url, self._seconds), service)
            return self._as_expected(ask(self._outbound, service.probe_url, self._seconds), service)
        except AddressRefused as e:  # its name leads elsewhere since it was registered
            return Outcome(None, None, e.message)

    @staticmethod
    def _recognised(outcome: Outcome, service: ExternalService) -> Outcome:
        answered = outcome.status_code is not None and outcome.status_code < 400
        if outcome.detection is None and answered and service.service_type is ServiceType.UNKNOWN:
            return Outcome(outcome.status_code, outcome.response_ms)  # not a map service that we know, but it answers
        return outcome

    @staticmethod
    def _as_expected(outcome: Outcome, service: ExternalService) -> Outcome:
        found = outcome.detection
        if found is not None and found.type is not service.service_type:
            reason = f"It answers as {found.type.value}, no longer as {service.service_type.value}."
            return Outcome(outcome.status_code, outcome.response_ms, reason)
        return outcome
