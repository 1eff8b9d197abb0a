"""Watches CoreMachine: ids into the log, a span for each step of a job, durations by type and outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import structlog
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from core.contracts.outcomes import Done, Failed, Outcome
from core.machine.observer import Ended
from core.machine.store import Claimed, NewJob, SideEffect
from infrastructure.telemetry import traces

_NAME = "geomachine"


class MachineObserver:
    """The observer of a process. `ratio` is the part of all jobs that is traced; at 0 spans cost nothing."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tracer = trace.get_tracer(_NAME)
        meter = metrics.get_meter(_NAME)
        self._jobs = meter.create_counter("geomachine.jobs.accepted", description="Runs of jobs that were accepted.")
        self._tasks = meter.create_histogram(
            "geomachine.task.duration", unit="s", description="Attempts at tasks, by type and outcome."
        )
        self._log = structlog.get_logger()

    def accepted(self, job: NewJob) -> None:
        """The first span of the job's trace, with a link to the request that it came by."""
        self._jobs.add(1, {"job_type": job.job_type})
        asking = trace.get_current_span().get_span_context()
        ids = _known({"job_id": job.job_id, "job_type": job.job_type, "correlation_id": job.correlation_id})
        with traces.as_root(job.job_id, self._ratio):
            span = self._tracer.start_span(
                f"job {job.job_type}",
                Context(),
                SpanKind.PRODUCER,
                attributes=_attributes(ids),
                links=[Link(asking)] if asking.is_valid else None,
            )
        span.end()
        trace.get_current_span().set_attribute("geomachine.job_id", job.job_id)
        self._log.info("job_accepted", **ids)

    @contextmanager
    def task(self, claimed: Claimed) -> Iterator[Ended]:
        """A span and the ids around one attempt."""
        begun, ids = time.perf_counter(), _known(claimed.log_ids)
        with (
            structlog.contextvars.bound_contextvars(**ids),
            self._span(f"task {claimed.task_type}", claimed.job_id, ids, SpanKind.CONSUMER) as span,
        ):

            def ended(outcome: Outcome) -> None:
                labels = {"task_type": claimed.task_type or "", "outcome": _word(outcome)}
                self._tasks.record(time.perf_counter() - begun, labels)
                span.set_attribute("geomachine.outcome", labels["outcome"])
                if isinstance(outcome, Failed):
                    span.set_attribute("error.type", outcome.code)
                    span.set_status(Status(StatusCode.ERROR, outcome.message))

            yield ended

    @contextmanager
    def advance(self, claimed: Claimed) -> Iterator[None]:
        """A span and the ids around planning."""
        ids = _known(claimed.log_ids)
        with structlog.contextvars.bound_contextvars(**ids), self._span("advance", claimed.job_id, ids):
            yield

    @contextmanager
    def promise(self, effect: SideEffect) -> Iterator[None]:
        """A span and the ids around a delivery; in the job's trace where it is about a job."""
        job_id = effect.payload.get("job_id")
        ids = _known({"outbox_id": effect.outbox_id, "topic": effect.topic, "job_id": job_id})
        of_job = str(job_id) if isinstance(job_id, str) and len(job_id) == 64 else None
        with (
            structlog.contextvars.bound_contextvars(**ids),
            self._span(f"deliver {effect.topic}", of_job, ids, SpanKind.PRODUCER),
        ):
            yield

    def _span(
        self, name: str, job_id: str | None, ids: Mapping[str, object], kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        if not self._ratio:
            return nullcontext(trace.INVALID_SPAN)
        under = traces.under(job_id, self._ratio) if job_id else None
        return self._tracer.start_as_current_span(name, under, kind, attributes=_attributes(ids))


def _known(ids: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in ids.items() if value is not None}


def _attributes(ids: Mapping[str, object]) -> dict[str, str | int]:
    return {f"geomachine.{name}": value if isinstance(value, int) else str(value) for name, value in ids.items()}


def _word(outcome: Outcome) -> str:
    match outcome:
        case Done():
            return "completed"
        case Failed():
            return "failed"
        case _:
            return "interrupted"
