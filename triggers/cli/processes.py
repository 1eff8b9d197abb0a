"""The long-running processes: the service and the workers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from config import Settings
from core.contracts.tasks import Queue
from infrastructure import telemetry
from infrastructure.embedded import system
from infrastructure.embedded.system import Finding
from triggers.cli import supervisor
from triggers.cli.instance import ROOT, Instance

if TYPE_CHECKING:
    from composition import Runtime
    from infrastructure.queues import ServiceBus

Parent = Annotated[int | None, typer.Option(hidden=True)]
Port = Annotated[int | None, typer.Option(min=1, max=65535)]


def serve(port: Port = None, parent: Parent = None) -> None:
    """Run the HTTP service: API, console, STAC, OGC API Features, tiles, and the timers."""
    import uvicorn

    from composition import Runtime
    from triggers.http.service import create_service
    from triggers.scheduler import Scheduler

    settings = _prepared(parent)
    runtime = Runtime(settings)
    with Scheduler(lambda: runtime, runtime.log):
        uvicorn.run(
            create_service(runtime),
            host=settings.server.host,
            port=port or settings.server.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    runtime.close()


def worker(parent: Parent = None) -> None:
    """Run one worker process: it claims due tasks until it is told to stop."""
    from composition import Runtime
    from core.machine.worker import Worker
    from infrastructure.postgres.pool import conninfo
    from infrastructure.postgres.wakeups import Wakeups

    settings = _prepared(parent)
    runtime = Runtime(settings)
    if runtime.bus is not None:
        _work_for_broker(runtime, runtime.bus)
        return
    wakeups = Wakeups(conninfo(settings.database))
    loop = Worker(
        runtime.machine,
        [queue.value for queue in Queue],
        batch=settings.worker.batch,
        poll=settings.worker.poll_seconds,
        wait=wakeups.wait,
        log=runtime.log,
    )
    _on_stop(loop.stop)
    loop.run()
    wakeups.close()
    runtime.close()


def _work_for_broker(runtime: Runtime, bus: ServiceBus) -> None:
    from core.machine.broker import BrokerWorker

    queues = [queue.value for queue in Queue]
    loop = BrokerWorker(
        runtime.machine,
        runtime.desk(queues),
        lambda: bus.receiver(queues),
        batch=runtime.settings.worker.batch,
        poll=runtime.settings.worker.poll_seconds,
        log=runtime.log,
    )
    _on_stop(loop.stop)
    loop.run()
    runtime.close()


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
    if settings.database.embedded:
        url = SecretStr(instance.database_url())
        settings = replace(settings, database=settings.database.model_copy(update={"url": url}))
    if settings.server.admin_key is None:
        settings = replace(settings, server=settings.server.model_copy(update={"admin_key": SecretStr(instance.key())}))
    return settings


def _on_stop(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
