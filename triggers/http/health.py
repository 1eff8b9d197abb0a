"""Is the process alive, may it get traffic, and how is the system?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict

from fastapi import APIRouter, Response

from composition import Runtime
from core.contracts.storage import BlobName
from core.errors import ContractViolation, GeomachineError, SourceNotFound
from triggers.http.access import TheRuntime
from triggers.http.scope import Member

router = APIRouter(prefix="/api", tags=["health"])
Probe = Callable[[], dict[str, object]]


@router.get("/livez")
def livez() -> dict[str, str]:
    """200 while the process runs."""
    return {"status": "alive", "probe": "livez", "message": "The process is running."}


@router.get("/readyz")
def readyz(runtime: TheRuntime, response: Response) -> dict[str, str]:
    """200 when requests can be served, else 503."""
    try:
        runtime.jobs.versions()
    except GeomachineError as e:
        response.status_code = 503
        return {"status": "not_ready", "probe": "readyz", "message": e.message}
    return {"status": "ready", "probe": "readyz", "message": "The database answers."}


@router.get("/health")
def health(runtime: TheRuntime, _: Member, response: Response) -> dict[str, object]:
    """Every component with its latency; 503 when one is down."""
    response.headers["Cache-Control"] = "no-store"
    components = {
        "database": probed(database(runtime)),
        "storage": probed(storage(runtime)),
        "queue": probed(lambda: {"backlog": runtime.jobs.backlog(), "outbox": runtime.jobs.outbox_backlog()}),
        "machine": probed(lambda: _machine_stands(runtime)),
    }
    if runtime.bus is not None:
        components["broker"] = probed(broker(runtime))
    down = [name for name, state in components.items() if state["status"] != "healthy"]
    if down:
        response.status_code = 503
    return {
        "status": "unhealthy" if down else "healthy",
        "components": components,
        "errors": [f"{name}: {components[name]['error']}" for name in down],
        "environment": {"app_mode": runtime.settings.app.mode.value, "name": runtime.settings.app.name},
    }


def _machine_stands(runtime: Runtime) -> dict[str, object]:
    """The published figure: open jobs without a live lease, a due time or a place in line. It is 0, or a defect."""
    standing = runtime.jobs.machine_standing()
    if standing["stranded_jobs"]:
        raise ContractViolation(
            f"{standing['stranded_jobs']} open jobs have no open work.",
            hint="The janitor gives it back within a minute; app.janitor_runs tells what it found.",
        )
    return standing


def database(runtime: Runtime) -> Probe:
    """Asks the server what it is."""
    return runtime.jobs.versions


def storage(runtime: Runtime) -> Probe:
    """Asks the store for a blob that need not be there."""

    def ask() -> dict[str, object]:
        with contextlib.suppress(SourceNotFound):  # an answer is all that is asked for
            runtime.storage.head(BlobName("bronze-misc", ".health"))
        return {"kind": "azure" if runtime.settings.storage.azure else "local"}

    return ask


def broker(runtime: Runtime) -> Probe:
    """Asks Service Bus for its queues' counts; only where it is configured."""
    assert runtime.bus is not None
    administration = runtime.bus.administration
    return lambda: {"queues": [asdict(counts) for counts in administration.counts()]}


def probed(probe: Probe) -> dict[str, object]:
    """What a component says, and how long it took; or what is wrong with it."""
    started = time.perf_counter()
    try:
        details = probe()
    except GeomachineError as e:
        return {"status": "unhealthy", "error": e.message, "hint": e.hint, "code": e.code}
    return {"status": "healthy", "latency_ms": round((time.perf_counter() - started) * 1000, 1), **details}
