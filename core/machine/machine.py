"""CoreMachine accepts jobs, runs what is due, advances and finishes. A message is only a hint; PostgreSQL is true."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pydantic import BaseModel, JsonValue, ValidationError

from core.contracts.outcomes import Done, Failed, Outcome, Suspended
from core.errors import InvalidRequest, StaleAttempt, TaskTimeout, TransientError
from core.machine import advance, attempts, identity
from core.machine.attempts import Resources
from core.machine.leases import LeaseKeeper
from core.machine.observer import Nobody, Observer
from core.machine.registry import Registry
from core.machine.retries import RetryPolicy
from core.machine.slot import Slot
from core.machine.store import Accepted, Claimed, Finished, JobStore, JobToAdvance, NewJob, NextStep, SideEffect
from core.states import StageStatus

_PLAN_SECONDS = 600.0  #: how long a job's `plan` or `finalize` may take

Callback = Callable[[Mapping[str, JsonValue]], None]


class Log(Protocol):
    """Where the machine tells what it did: one event word and fields."""

    def info(self, event: str, **fields: object) -> object:
        """Something ordinary."""
        ...

    def warning(self, event: str, **fields: object) -> object:
        """Something that will be tried again."""
        ...


@dataclass(frozen=True)
class Submission:
    """What became of a request to run a job."""

    job_id: str
    accepted: Accepted


class CoreMachine:
    """One worker's view of the machine; every process has its own, PostgreSQL makes them one."""

    def __init__(
        self,
        registry: Registry,
        store: JobStore,
        resources: Callable[[], Resources],
        *,
        worker: str,
        log: Log,
        lease: float = 60.0,
        retry: RetryPolicy | None = None,
        callbacks: Mapping[str, Callback] | None = None,
        promises: Mapping[str, Callback] | None = None,
        randomness: random.Random | None = None,
        dispatch: Callable[[], object] | None = None,
        slot: Slot | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.registry = registry
        self.store = store
        self.worker = worker
        self.lease = lease
        self._resources = resources
        self._log = log
        self._retry = retry or RetryPolicy()
        self._callbacks = dict(callbacks or {})  # told of every job's end
        self._promises = {
            **self._callbacks,
            **(promises or {}),
        }  # what transactions of ours put into the outbox besides
        self._random = randomness or random.Random()  # noqa: S311 - jitter, not secrets
        self._dispatch = dispatch
        self._slot = slot
        self._observer = observer or Nobody()

    def prepare(
        self,
        job_type: str,
        parameters: BaseModel | Mapping[str, JsonValue],
        *,
        submitted_by: str | None = None,
        correlation_id: str | None = None,
    ) -> NewJob:
        """Validate the parameters and plan the first stage. Raises UnknownJobType or InvalidRequest."""
        job = self.registry.job(job_type)
        typed = _validated(job.parameters, parameters)
        return NewJob(
            job_id=identity.job_id(job_type, typed),
            job_type=job_type,
            parameters=typed.model_dump_json(),
            total_stages=len(job.stages),
            first_stage=advance.first_stage(job, typed),
            submitted_by=submitted_by,
            correlation_id=correlation_id,
            callbacks=sorted(self._callbacks),
            repeatable=job.repeatable,
        )

    def submit(
        self,
        job_type: str,
        parameters: BaseModel | Mapping[str, JsonValue],
        *,
        submitted_by: str | None = None,
        correlation_id: str | None = None,
    ) -> Submission:
        """Accept a job; the same work is accepted once, a failed one runs again."""
        job = self.prepare(job_type, parameters, submitted_by=submitted_by, correlation_id=correlation_id)
        submission = Submission(job.job_id, self.store.submit(job))
        if submission.accepted.created:
            self._observer.accepted(job)
        self.announce()
        return submission

    def submit_all(self, jobs: Sequence[NewJob]) -> list[Submission]:
        """Accept several prepared jobs in one transaction, all or none."""
        accepted = self.store.submit_all(jobs)
        for job, one in zip(jobs, accepted, strict=True):
            if one.created:
                self._observer.accepted(job)
        self.announce()
        return [Submission(job.job_id, one) for job, one in zip(jobs, accepted, strict=True)]

    def accepted(self, job: NewJob) -> None:
        """Tell that a transaction has accepted a job."""
        self._observer.accepted(job)
        self.announce()

    def announce(self) -> None:
        """Have open work told to the broker, where there is one. Called after each commit that may leave some."""
        if self._dispatch is not None:
            self._dispatch()

    def run(self, claimed: Claimed, stop: threading.Event) -> Outcome:
        """Run one claimed task's handler."""
        attempt = attempts.Attempt(claimed, self.worker, self.store, self._resources, stop)
        seconds = self.registry.seconds(claimed.task_type or "", heavy=claimed.heavy)
        started = time.monotonic()
        with self._observer.task(claimed) as ended, self._shown(claimed, seconds, stop):
            outcome = attempts.run(self.registry, attempt)
            ran = time.monotonic() - started
            if isinstance(outcome, Suspended) and ran > seconds:
                outcome = attempts.failure(
                    TaskTimeout(f"The task ran for {ran:.0f} s; it may run for {seconds:.0f} s.")
                )
            ended(outcome)
        return outcome

    def _shown(self, claimed: Claimed, seconds: float, stop: threading.Event) -> AbstractContextManager[object]:
        return self._slot.running(claimed, seconds, stop) if self._slot else nullcontext()

    def settle(self, claimed: Claimed, outcome: Outcome, duration: int) -> None:
        """Write how an attempt ended; advance the job when it was its stage's last. A lost lease writes nothing."""
        match outcome:
            case Done():
                self._complete(Finished(claimed, outcome.output_json, duration), outcome)
            case Suspended():
                self.store.release(self.worker, claimed)
                self.announce()
                self._log.info("task_interrupted", **claimed.log_ids)
            case Failed():
                self._fail(claimed, outcome)

    def _complete(self, finished: Finished, outcome: Done) -> None:
        claimed = finished.claimed
        try:
            left = self.store.complete(self.worker, self.lease, finished, outcome.effects)
        except TransientError:
            raise
        except Exception as e:  # an effect refused: the same rules as for a handler that raised
            self._fail(claimed, attempts.failure(e))
            return
        if left is None:
            self._log.warning("task_stale", **claimed.log_ids)
        self.advance(left or [])

    def step(self, queues: Sequence[str], limit: int, done: Sequence[Finished]) -> list[Claimed]:
        """Commit what is done and lease what is due. An output that the database refuses fails its own task only."""
        ordered = sorted(done, key=lambda f: f.claimed.queue_id)
        try:
            return self.store.step(self.worker, queues, limit, self.lease, ordered)
        except TransientError:
            raise
        except Exception as e:  # one of many tasks' outputs, or a defect of ours when there is none
            if not ordered:
                raise
            self._log.warning("step_refused", tasks=len(ordered), error=f"{type(e).__name__}: {e}")
        for finished in ordered:
            self.settle(finished.claimed, Done(finished.output), finished.duration)
        return []

    def process(self, claimed: Claimed, stop: threading.Event | None = None) -> None:
        """Run and settle one claimed item, task or advance."""
        if claimed.is_advance:
            self.advance([claimed])
            return
        started = time.monotonic()
        outcome = self.run(claimed, stop or threading.Event())
        self.settle(claimed, outcome, milliseconds_since(started))

    def advance(self, items: Sequence[Claimed], queues: Sequence[str] = (), limit: int = 0) -> list[Claimed]:
        """Move jobs on from their finished stages in one transaction, which then leases up to `limit` items."""
        if not items:
            return []
        steps = [step for record in self.store.to_advance(items) if (step := self._plan(record)) is not None]
        claimed = self._write(steps, queues, limit) if steps else []
        self.announce()
        return claimed

    def _plan(self, record: JobToAdvance) -> NextStep | None:
        """What follows; None, with the failure recorded, when nothing does."""
        if record.stage_status is StageStatus.FAILED:
            self.store.fail_stage(self.worker, record.claimed)
            return None
        try:
            job = self.registry.job(record.job_type)
            with (
                self._observer.advance(record.claimed),
                self._shown(record.claimed, _PLAN_SECONDS, threading.Event()),
            ):
                return NextStep(record.claimed, advance.next_step(job, record))
        except TransientError:
            raise
        except Exception as e:  # the job author's code
            self._fail(record.claimed, attempts.failure(e))
            return None

    def _write(self, steps: Sequence[NextStep], queues: Sequence[str], limit: int) -> list[Claimed]:
        try:
            claimed = self.store.advance(self.worker, steps, queues, limit, self.lease)
        except TransientError:
            raise
        except Exception as e:  # one that the database refuses must not stop its neighbours: write each alone
            if len(steps) > 1:
                self._log.warning("advance_batch_refused", jobs=len(steps), error=f"{type(e).__name__}: {e}")
                for step in steps:
                    self._write([step], (), 0)
            elif isinstance(e, StaleAttempt):
                self._log.warning("advance_stale", **steps[0].claimed.log_ids)
            else:
                self._fail(steps[0].claimed, attempts.failure(e))
            return []
        for step in steps:
            self._log.info("stage_advanced", **step.claimed.log_ids, worker=self.worker)
        return claimed

    def drain(self, queues: Sequence[str], seconds: float) -> int:
        """Process due items one by one until none is left or the time is over; how many."""
        ends, count = time.monotonic() + seconds, 0
        with LeaseKeeper(self.store, self.worker, self.lease) as leases:
            while time.monotonic() < ends and (claimed := self.step(queues, 1, [])):
                for item in claimed:
                    with leases.holding(item) as stop:
                        self.process(item, stop)
                    count += 1
        return count

    def sweep(self) -> int:
        """Return expired leases to the queue and deliver due side effects; how many of both."""
        count = self.store.sweep_leases(self.worker, 200)
        for _ in range(10):
            # Few at a time: each may take seconds, and all are leased at once.
            due = self.store.claim_side_effects(self.worker, 5, self.lease)
            for effect in due:
                self._deliver(effect)
            count += len(due)
            if len(due) < 5:
                break
        if count:
            self.announce()
        return count

    def _deliver(self, effect: SideEffect) -> None:
        callback = self._promises.get(effect.topic)
        try:
            if callback is None:
                raise InvalidRequest(f"Nothing handles the topic {effect.topic!r}.")
            with self._observer.promise(effect):
                callback(effect.payload)
        except Exception as e:  # the edge of a callback: what went wrong is kept, tried again, and finally dead
            delay = self._retry.delay(effect.attempts, self._random)
            self.store.side_effect_failed(effect, f"{type(e).__name__}: {e}", delay)
        else:
            self.store.side_effect_delivered(effect)

    def mend(self) -> int:
        """Give stranded jobs their open work back and remove that of ended ones; how many."""
        count = self.store.mend(self.worker, 200)
        if count:
            self.announce()
        return count

    def retain(self, archive_days: float, drop_days: float, seconds: float = 50.0) -> int:
        """Drop and archive old jobs, some at a time, until none is left or the time is over; how many.

        A job is never archived and dropped by the same call.
        """
        ends, count = time.monotonic() + seconds, 0
        for step in (partial(self.store.drop_archived, drop_days), partial(self.store.archive, archive_days)):
            while time.monotonic() < ends and (done := step(50)):
                count += done
        return count

    def _fail(self, claimed: Claimed, failure: Failed) -> None:
        decision = self.store.fail(
            self.worker,
            claimed,
            kind=failure.kind,
            code=failure.code,
            message=failure.message,
            hint=failure.hint,
            delay=self._retry.delay(claimed.failures + 1, self._random),
        )
        self.announce()
        self._log.warning(
            f"task_{decision}",
            **claimed.log_ids,
            code=failure.code,
            error=failure.message,
        )


def milliseconds_since(started: float) -> int:
    """Whole milliseconds since a `time.monotonic()` reading."""
    return int((time.monotonic() - started) * 1000)


def _validated(model: type[BaseModel], parameters: BaseModel | Mapping[str, JsonValue]) -> BaseModel:
    if isinstance(parameters, model):
        return parameters
    try:
        return model.model_validate(parameters)
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'parameters'}: {p['msg']}" for p in e.errors(include_url=False)]
        raise InvalidRequest("; ".join(problems), hint=f"Fields: {', '.join(sorted(model.model_fields))}.") from e
