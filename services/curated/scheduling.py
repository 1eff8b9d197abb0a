"""Which curated datasets are due? Each is submitted once for a time of its schedule, however many hosts ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from core.contracts.curated import CuratedUpdateParameters, Period
from core.errors import GeomachineError
from core.machine.machine import Log
from core.machine.store import Accepted, NewJob
from core.models.curated import CuratedDataset, CuratedUpdateType


class Schedule(Protocol):
    """The registry as the clock sees it."""

    def scheduled(self) -> Sequence[CuratedDataset]:
        """Datasets that the clock keeps up to date."""
        ...

    def submit_due(self, dataset_id: str, period: datetime, job: NewJob) -> Accepted | None:
        """Accept the job of a time of the schedule; None when somebody acted on that time before."""
        ...

    def refuse_due(self, dataset_id: str, period: datetime, reason: str) -> None:
        """Write down, once for that time, that no job could be submitted; somebody is told."""
        ...


class CuratedScheduler:
    """Submits what is due. `prepare` makes a job, `accepted` is told of each."""

    def __init__(
        self,
        registry: Schedule,
        prepare: Callable[[CuratedUpdateParameters], NewJob],
        accepted: Callable[[NewJob], None],
        period: Period,
        log: Log,
    ) -> None:
        self._registry = registry
        self._prepare = prepare
        self._accepted = accepted
        self._period = period
        self._log = log

    def submit_due(self, fired: datetime) -> int:
        """Submit every dataset that is due at this time of the timer; how many. One that fails stops no other."""
        return sum(self._submit(dataset, fired) for dataset in self._registry.scheduled())

    def _submit(self, dataset: CuratedDataset, fired: datetime) -> bool:
        period = fired
        try:
            period = self._period(dataset.update_schedule or "", fired)
            if dataset.scheduled_for is not None and dataset.scheduled_for >= period:
                return False
            wanted = CuratedUpdateParameters(
                dataset_id=dataset.dataset_id, update_type=CuratedUpdateType.SCHEDULED, occurrence=period
            )
            # Not to be done twice for the same time.
            job = replace(self._prepare(wanted), repeatable=False)
            accepted = self._registry.submit_due(dataset.dataset_id, period, job)
        except GeomachineError as e:
            self._log.warning("curated_not_submitted", dataset_id=dataset.dataset_id, code=e.code, error=e.message)
            self._registry.refuse_due(dataset.dataset_id, period, e.message)
            return False
        if accepted is None or not accepted.created:
            return False
        self._accepted(job)
        return True
