"""Hands log lines to whoever collects them, with the same names for ids as spans have."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from opentelemetry import _logs, context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

_SEVERITY = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_OF_THE_RECORD = frozenset({"event", "level", "timestamp", "trace_id", "span_id", "exception"})
_logger = _logs.get_logger("geomachine")


def send(line: Mapping[str, object]) -> None:
    """Hand a line on, in the trace that it names. What is logged about sending is not sent: it would never end."""
    if context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):
        return
    level = str(line.get("level", "info"))
    _logger.emit(
        timestamp=time.time_ns(),
        context=_context(line),
        severity_number=_SEVERITY.get(level, SeverityNumber.INFO),
        severity_text=level,
        body=str(line.get("event")),
        attributes=_ids(line) | _exception(line.get("exception")),
    )


def _context(line: Mapping[str, object]) -> Context:
    if "trace_id" not in line:
        return Context()
    span = SpanContext(int(str(line["trace_id"]), 16), int(str(line["span_id"]), 16), is_remote=False)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def _ids(line: Mapping[str, object]) -> dict[str, str | int]:
    return {
        f"geomachine.{name}": value if isinstance(value, int) else str(value)
        for name, value in line.items()
        if name not in _OF_THE_RECORD and not name.startswith("_")
    }


def _exception(raised: object) -> dict[str, str | int]:
    """Of the chain that structlog wrote, the last is what was caught."""
    if not isinstance(raised, list) or not raised:
        return {}
    caught = raised[0]
    return {
        "exception.type": str(caught["exc_type"]),
        "exception.message": str(caught["exc_value"]),
        "exception.stacktrace": json.dumps(raised, default=str),
    }
