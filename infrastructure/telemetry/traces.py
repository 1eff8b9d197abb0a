"""One trace for each job. Its id is in the job's id, so that every process writes to it without being told.

The trace of a job is the first 32 of the 64 digits of its id; the span of its acceptance has the next 16, and is the
parent of all others. Nothing has to travel with messages or rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

_LOW = 1 << 64  #: samplers of OpenTelemetry look at the lower half of a trace's id

coming: ContextVar[SpanContext | None] = ContextVar("the span that starts next", default=None)


def trace_id(job_id: str) -> str:
    """The 32 hex digits of a job's trace."""
    return job_id[:32]


def root(job_id: str, ratio: float) -> SpanContext:
    """The span of a job's acceptance. Every process decides alike, and as the sampler does, whether it is traced."""
    number = int(trace_id(job_id), 16)
    sampled = number % _LOW < round(ratio * _LOW)
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(number, int(job_id[32:48], 16), is_remote=True, trace_flags=flags)


def under(job_id: str, ratio: float) -> Context:
    """The context whose spans belong to the job."""
    return trace.set_span_in_context(NonRecordingSpan(root(job_id, ratio)), Context())


def about(job_id: object) -> SpanContext | None:
    """The span that is current; where none is, the first of the job that a log line is about."""
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        return found
    return root(job_id, 1.0) if isinstance(job_id, str) and len(job_id) == 64 else None


@contextmanager
def as_root(job_id: str, ratio: float) -> Iterator[None]:
    """The span that is started inside, without a parent, is the job's first."""
    token = coming.set(root(job_id, ratio))
    try:
        yield
    finally:
        coming.reset(token)
