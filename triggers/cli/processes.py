"""The long-running processes: the service and the workers."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Annotated

import typer
from pydantic import SecretStr

from config import Settings, review
from infrastructure import telemetry
from infrastructure.embedded import system
from infrastructure.embedded.system import Finding
from triggers.cli import supervisor
from triggers.cli.instance import ROOT, Instance

Parent = Annotated[int | None, typer.Option(hidden=True)]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Default: GEOMACHINE_PORT.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=64, help="Default: WORKER_PROCESSES, else one per processor core.")
]


def serve(port: Port = None, parent: Parent = None) -> None:
    """Run the HTTP service: API, console, STAC, OGC API Features, tiles, and the timers."""
    import uvicorn

    from composition import Runtime
    from infrastructure.telemetry.figures import Figures
    from triggers.http.service import create_service
    from triggers.scheduler import Scheduler

    settings = _prepared(parent)
    telemetry.start(settings.telemetry, "geomachine-service", prometheus=True)
    runtime = Runtime(settings)
    Figures(runtime.gauges.read)
    server = uvicorn.Server(
        uvicorn.Config(
            create_service(runtime),
            host=settings.server.host,
            port=port or settings.server.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    )

    def stop(*_: object) -> None:
        """Heard before uvicorn listens to signals, and again when it has ended by one and raises it for us."""
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with Scheduler(lambda: runtime, runtime.log):
        server.run()
    failed = not (server.started or server.should_exit)
    telemetry.stop()  # the last figures are read from the database
    runtime.close()
    if failed:
        raise SystemExit(3)


def worker(processes: Processes = None, parent: Parent = None) -> None:
    """Run a worker: its processes claim due tasks until it is told to stop."""

    import structlog

    from triggers.worker import parent as worker_parent

    worker_parent.run(_prepared(parent), structlog.get_logger(), processes=processes)


def diagnose(instance: Instance) -> list[Finding]:
    """What the machine lacks for this instance."""
    return system.examine(instance.home, ROOT / ".local" / "postgresql")


def _prepared(parent: int | None) -> Settings:
    """The settings of a process of this home: the embedded database and the home's key where none are configured."""
    if parent is not None:
        supervisor.end_with(parent)
    instance = Instance()
    settings = instance.settings
    telemetry.configure(settings.app.log_level)
    telemetry.warn(review(settings))
    if settings.database.embedded:
        url = SecretStr(instance.database_url())
        settings = replace(settings, database=settings.database.model_copy(update={"url": url}))
    if settings.server.admin_key is None:
        settings = replace(settings, server=settings.server.model_copy(update={"admin_key": SecretStr(instance.key())}))
    return settings
