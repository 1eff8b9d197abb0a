"""How does a process log? JSON lines with one event word; the ids of what it is about are bound once, around it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TextIO

import structlog

from config import SettingWarning
from infrastructure.telemetry import lines, recent, traces

_CHATTY = ("alembic", "azure", "httpx", "rasterio", "asyncio", "opentelemetry")


def configure(level: str = "INFO", *, hosted: bool = False) -> None:
    """Send our log and the libraries' to standard error as JSON.

    With `hosted` ours goes through `logging` instead, whose handlers belong to the Functions host: it knows the
    invocation, and passes the lines on to Application Insights.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _traced,
        # Local variables would put credentials into the log.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    if not hosted:
        shared.append(_sent)
    structlog.configure(
        processors=[*shared, _Kept(default=str)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level.upper(), 20)),
        logger_factory=_Hosted() if hosted else structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if not hosted:
        _take_over(shared, level, sys.stderr)
        sys.excepthook = _crashed
        threading.excepthook = lambda args: _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught, as a line like any other; a person who presses Ctrl-C sees what he is used to."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    thread = threading.current_thread().name
    info = (kind, error, trace)
    structlog.get_logger().error("crashed", thread=thread, error=f"{kind.__name__}: {error}", exc_info=info)


def warn(warnings: Iterable[SettingWarning]) -> None:
    """Tell of settings that are allowed and probably not meant."""
    for warning in warnings:
        structlog.get_logger().warning("setting_warning", **vars(warning))


def _take_over(shared: list[structlog.typing.Processor], level: str, stream: TextIO) -> None:
    """What libraries log, in the same form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


class _Hosted:
    """Makes loggers of `logging`; the level of a line is that of its method."""

    def __call__(self, *_: object) -> logging.Logger:
        return logging.getLogger("geomachine")


def _traced(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The trace that the line belongs to."""
    context = traces.about(event.get("job_id"))
    if context is not None:
        event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


def _sent(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The same line, for whoever collects logs."""
    lines.send(event)
    return event


class _Kept(structlog.processors.JSONRenderer):
    """Writes the line, and remembers it."""

    def __call__(self, logger: object, name: str, event_dict: structlog.typing.EventDict) -> str | bytes:
        line = super().__call__(logger, name, event_dict)
        recent.keep(str(line))
        return line
