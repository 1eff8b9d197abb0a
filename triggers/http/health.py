"""Is the process alive, may it get traffic, and how is the system?"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.errors import GeomachineError
from triggers.http.access import TheRuntime, runtime
from triggers.http.components import Probes
from triggers.http.probing import hurriedly, in_thread
from triggers.http.scope import Member

router = APIRouter(prefix="/api", tags=["health"])
# Async, all three: while a database is away, its callers may hold every thread that other routes run in.


@router.get("/livez")
async def livez() -> dict[str, str]:
    """200 while the process runs."""
    return {"status": "alive", "probe": "livez", "message": "The process is running."}


@router.get("/readyz")
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """200 when requests can be served, else 503; within a few seconds, whatever the database does."""
    made = await in_thread(lambda: runtime(request))  # the first request makes it, which takes a while
    try:
        await hurriedly(made.jobs.versions)
    except GeomachineError as e:
        response.status_code = 503
        return {"status": "not_ready", "probe": "readyz", "message": e.message}
    return {"status": "ready", "probe": "readyz", "message": "The database answers."}


@router.get("/health")
async def health(request: Request, runtime: TheRuntime, _: Member, response: Response) -> dict[str, object]:
    """Every component with its latency and what to do about it; 503 when one is down, not when one is degraded."""
    response.headers["Cache-Control"] = "no-store"
    components = await Probes(runtime, getattr(request.app.state, "mounted", {})).ask()
    down = [name for name, state in components.items() if state["status"] == "unhealthy"]
    degraded = [name for name, state in components.items() if state["status"] == "degraded"]
    if down:
        response.status_code = 503
    return {
        "status": "unhealthy" if down else "degraded" if degraded else "healthy",
        "components": components,
        "errors": [f"{name}: {components[name]['error']}" for name in down],
        "warnings": [f"{name}: {components[name]['warning']}" for name in degraded],
        "environment": {"app_mode": runtime.settings.app.mode.value, "name": runtime.settings.app.name},
    }
