"""What happens by the clock? One table, for the Function App's decorators and the local scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from core.contracts.consistency import ReconcileParameters
from core.contracts.repairs import RepairStacItemsParameters
from core.machine.store import NewJob
from core.models.consistency import ComparisonScope
from core.models.snapshots import SnapshotTrigger
from triggers.clock import chosen, occurrence

if TYPE_CHECKING:
    from composition import Runtime


@dataclass(frozen=True)
class Timer:
    """A timer. Its schedule is NCRONTAB: six fields, seconds first; the setting overrides the default.

    Firing twice, or on two hosts at once, does its work once.
    """

    name: str
    setting: str
    schedule: str
    run: Callable[[Runtime], int]

    def due(self) -> str:
        """The schedule that holds. Raises ConfigurationError for a setting that is none."""
        return chosen(self.setting, self.schedule)


def _sweep(runtime: Runtime) -> int:
    return runtime.machine.sweep()


def _janitor(runtime: Runtime) -> int:
    return runtime.machine.mend()


def _retention(runtime: Runtime) -> int:
    retention = runtime.settings.retention
    forgotten = runtime.idempotency.forget() + runtime.deliveries.forget(retention.archive_days)
    return runtime.machine.retain(retention.archive_days, retention.drop_days) + forgotten


def _leftovers(runtime: Runtime) -> int:
    return runtime.tables.drop_abandoned() + runtime.revisions.expire()


def _exports(runtime: Runtime) -> int:
    return runtime.exports.poll() if runtime.exports else 0


def _external_services(runtime: Runtime) -> int:
    return runtime.checker.check_due(runtime.settings.external_services.batch)


def _curated(setting: str, schedule: str, runtime: Runtime) -> int:
    return runtime.curated_scheduler.submit_due(occurrence(chosen(setting, schedule)))


def _compare(scope: ComparisonScope, setting: str, schedule: str, runtime: Runtime) -> int:
    due = occurrence(chosen(setting, schedule))
    asked = runtime.machine.prepare("reconcile", ReconcileParameters(scope=scope, occurrence=due), submitted_by="timer")
    # The same work as that of every other host that fires for this time, so not to be done twice.
    [submission] = runtime.machine.submit_all([replace(asked, repeatable=False)])
    return int(submission.accepted.created)


def _heal(runtime: Runtime) -> int:
    policy = runtime.settings.consistency
    if not policy.repair:
        return 0

    def repair(findings: list[int]) -> NewJob:
        wanted = RepairStacItemsParameters(findings=tuple(findings), dry_run=False, requested_by="timer")
        return runtime.machine.prepare("repair_stac_items", wanted, submitted_by="timer")

    begun = runtime.repairs.heal(policy.repair_limit, policy.cooldown_minutes, repair) is not None
    if begun:
        runtime.machine.announce()
    return int(begun)


def _comparison(name: str, scope: ComparisonScope, setting: str, schedule: str) -> Timer:
    return Timer(name, setting, schedule, partial(_compare, scope, setting, schedule))


def _curated_scheduler(setting: str, schedule: str) -> Timer:
    return Timer("curated_scheduler", setting, schedule, partial(_curated, setting, schedule))


def _dispatch(runtime: Runtime) -> int:
    return runtime.bus.dispatcher.dispatch() if runtime.bus else 0


def _dead_letters(runtime: Runtime) -> int:
    drained = runtime.bus.dead_letters.drain() if runtime.bus else 0
    if drained:
        runtime.machine.announce()
    return drained


def _snapshot(runtime: Runtime) -> int:
    return int(runtime.snapshots.store(SnapshotTrigger.SCHEDULED)[1])


TIMERS: tuple[Timer, ...] = (
    Timer("sweep", "SWEEP_SCHEDULE", "0 * * * * *", _sweep),
    Timer("janitor", "JANITOR_SCHEDULE", "30 * * * * *", _janitor),
    Timer("retention", "RETENTION_SCHEDULE", "0 15 * * * *", _retention),
    Timer("leftovers", "LEFTOVERS_SCHEDULE", "0 */10 * * * *", _leftovers),
    Timer("exports", "EXPORTS_SCHEDULE", "45 * * * * *", _exports),
    Timer("snapshot", "SNAPSHOT_SCHEDULE", "45 5 * * * *", _snapshot),
    Timer("external_services", "EXTERNAL_SERVICES_SCHEDULE", "15 * * * * *", _external_services),
    _curated_scheduler("CURATED_SCHEDULE", "0 0 2 * * *"),
    _comparison("consistency", ComparisonScope.FULL, "CONSISTENCY_SCHEDULE", "0 0 3,9,15,21 * * *"),
    Timer("heal", "HEAL_SCHEDULE", "30 */5 * * * *", _heal),
    _comparison("geo_orphans", ComparisonScope.GEO_ORPHANS, "GEO_ORPHANS_SCHEDULE", "0 30 */6 * * *"),
    _comparison("geo_integrity", ComparisonScope.GEO_INTEGRITY, "GEO_INTEGRITY_SCHEDULE", "0 0 2,8,14,20 * * *"),
)

#: Only where a broker carries the work: what a process could not send itself, and what the broker gave up on.
BROKER_TIMERS: tuple[Timer, ...] = (
    Timer("dispatch", "DISPATCH_SCHEDULE", "*/10 * * * * *", _dispatch),
    Timer("dead_letters", "DEAD_LETTERS_SCHEDULE", "30 * * * * *", _dead_letters),
)


def check_schedules() -> None:
    """Raise ConfigurationError where a setting says no time, before a clock that would stop at it is started."""
    for timer in (*TIMERS, *BROKER_TIMERS):
        timer.due()


def timers(transport: str) -> tuple[Timer, ...]:
    """The timers of a system with this transport."""
    return (*TIMERS, *BROKER_TIMERS) if transport == "servicebus" else TIMERS
