"""How is one component asked? In a thread of its own, and waited for no longer than a platform waits for a probe."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from core.errors import GeomachineError, TransientError
from infrastructure.postgres.pool import hurried

T = TypeVar("T")
State = Mapping[str, object]
_CONNECT = 2.0  #: seconds that a probe waits for a connection
_PATIENCE = 4.0  #: seconds that a probe is waited for
_log = structlog.get_logger()


@dataclass(frozen=True)
class Found:
    """What a component says of itself, and what of it somebody should look at."""

    details: Mapping[str, object]
    concern: str | None = None
    hint: str | None = None


async def hurriedly(ask: Callable[[], T]) -> T:
    """What it answers. Raises TransientError when that takes too long.

    Who does not come back is left behind: he holds a connection, so there are never more of them than connections.
    """

    def asked() -> T:
        with hurried(_CONNECT):
            return ask()

    return await _in_time(in_thread(asked))


async def in_thread(ask: Callable[[], T]) -> T:
    """What it answers, however long that takes, from a thread of its own."""
    # A limit of its own: while a database is away its callers may hold every thread that other routes run in.
    return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))


async def probed(probe: Callable[[], Found]) -> State:
    """What a component says, and how long it took; or what is wrong with it."""
    return await _told(hurriedly(probe))


async def answered(ask: Callable[[], Coroutine[object, object, object]]) -> State:
    """The same for what runs in the event loop and has nothing to say but that it answers."""

    async def found() -> Found:
        await _in_time(ask())
        return Found({})

    return await _told(found())


async def _in_time(asking: Awaitable[T]) -> T:
    try:
        with anyio.fail_after(_PATIENCE):
            return await asking
    except TimeoutError:
        raise TransientError(
            f"No answer within {_PATIENCE:.0f} s.",
            hint="It is reached and says nothing: see what it is busy with, or restart it.",
        ) from None


async def _told(asking: Awaitable[Found]) -> State:
    started = time.perf_counter()
    try:
        found = await asking
    except GeomachineError as e:
        return {"status": "unhealthy", "error": e.message, "hint": e.hint or e.fix, "code": e.code}
    except Exception as e:  # the edge of the probe: one component's defect must not hide how the others are
        _log.error("probe_failed", error=f"{type(e).__name__}: {e}", exc_info=e)
        return {
            "status": "unhealthy",
            "error": f"Asking it failed with {type(e).__name__}.",
            "hint": "Compare the schema with ./geomachine db drift; the log has the whole error.",
            "code": GeomachineError.code,
        }
    latency = {"latency_ms": round((time.perf_counter() - started) * 1000, 1)}
    if found.concern is None:
        return {"status": "healthy", **latency, **found.details}
    return {"status": "degraded", **latency, "warning": found.concern, "hint": found.hint, **found.details}
