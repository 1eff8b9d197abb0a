"""How does a service stand after a check, and when is the next one due?"""

from __future__ import annotations

from core.contracts.services import Alert, Judgement, Outcome
from core.models.services import ExternalService, ServiceStatus

FAILURES = 3  #: failed checks in a row that make a service offline
SLOW_CHECKS = 3  #: slow ones that make it degraded
SLOW_MS = 3000
_CONFIRM_MINUTES = 5.0  #: a first failure is looked into soon: most pass
_LONGEST_MINUTES = 1440.0  #: an offline service is asked at least daily

_ALERTS = {ServiceStatus.OFFLINE: Alert.OFFLINE, ServiceStatus.DEGRADED: Alert.DEGRADED}


def judge(service: ExternalService, outcome: Outcome) -> Judgement:
    """Three failures in a row are an outage, three slow answers a degradation; one good answer ends both."""
    if outcome.healthy:
        slow = service.slow_checks + 1 if (outcome.response_ms or 0) > SLOW_MS else 0
        status = ServiceStatus.DEGRADED if slow >= SLOW_CHECKS else ServiceStatus.ACTIVE
        if slow and slow < SLOW_CHECKS and service.status is ServiceStatus.DEGRADED:
            status = ServiceStatus.DEGRADED
        return Judgement(status, 0, slow, float(service.check_interval_minutes), _alert(service.status, status))
    failures = service.consecutive_failures + 1
    status = ServiceStatus.OFFLINE if failures >= FAILURES else service.status
    return Judgement(
        status, failures, 0, wait(failures, service.check_interval_minutes), _alert(service.status, status)
    )


def wait(failures: int, interval: int) -> float:
    """Minutes until the next check of a service that failed so often: soon at first, then ever longer."""
    if failures < FAILURES:
        return min(_CONFIRM_MINUTES, float(interval))
    doubled = float(interval) * 2.0 ** min(failures - FAILURES, 16)
    return min(doubled, max(_LONGEST_MINUTES, float(interval)))


def _alert(before: ServiceStatus, after: ServiceStatus) -> Alert | None:
    if before is after:
        return None
    if after is ServiceStatus.ACTIVE:
        return Alert.RECOVERED if before in _ALERTS else None
    return _ALERTS.get(after)
