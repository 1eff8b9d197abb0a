"""Gives a job's first span the ids that every process knows. Loaded only where traces are collected."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from infrastructure.telemetry import traces


class JobIds(IdGenerator):
    """Random ids, but for the span that `traces.as_root` surrounds."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        """That of the job, or any."""
        root = traces.coming.get()
        return root.trace_id if root else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        """That of the job's acceptance, or any."""
        root = traces.coming.get()
        return root.span_id if root else self._random.generate_span_id()
