"""What Azure Functions invokes beside HTTP: Service Bus messages and timers. Thin edges over the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import azure.functions as func

import config
from config import AppMode, ServiceBusSettings, Settings
from core.contracts.tasks import Queue
from triggers.timers import Timer, timers

if TYPE_CHECKING:
    from composition import Runtime

GetRuntime = Callable[[], "Runtime"]

#: The queues a Function App works; hours-long work is for workers.
QUEUES = (Queue.JOBS, Queue.RASTER, Queue.VECTOR)
#: Prefix of the settings that say how to connect, as `ServiceBusConnection__fullyQualifiedNamespace`.
CONNECTION = "ServiceBusConnection"

_PATIENCE = 120.0  #: seconds that a message waits for the database; ten deliveries then outlast twenty minutes

#: Stands in for the broker where PostgreSQL is the queue. It ends before a minute has passed, so that a host that
#: scales in loses little.
DRAIN = Timer("drain", "DRAIN_SCHEDULE", "*/10 * * * * *", lambda runtime: runtime.machine.drain(tuple(QUEUES), 50))


def register(app: func.AsgiFunctionApp, get_runtime: GetRuntime, settings: Settings) -> None:
    """Add the triggers that the settings ask for; none where this process serves HTTP only."""
    if settings.app.mode is AppMode.PLATFORM:
        return
    clock = list(timers(settings.queue.transport))
    if settings.queue.transport == "servicebus":
        names = _names(settings.service_bus)
        for queue in QUEUES:
            _add_queue(app, queue, names[queue], get_runtime)
    else:
        clock.append(DRAIN)
    for timer in clock:
        _add_timer(app, timer, get_runtime)


def _names(settings: ServiceBusSettings) -> Mapping[Queue, str]:
    return {Queue.JOBS: settings.jobs_queue, Queue.RASTER: settings.raster_queue, Queue.VECTOR: settings.vector_queue}


def _add_queue(app: func.AsgiFunctionApp, queue: Queue, name: str, get_runtime: GetRuntime) -> None:
    # Sync on purpose: the engine runs it on its thread pool, and GDAL never blocks the event loop.
    def deliver(message: func.ServiceBusMessage) -> None:
        """Returning settles the message; raising has it delivered again, and in the end dead-lettered."""
        body = message.get_body().decode("utf-8", "replace")
        get_runtime().desk(QUEUES).handle(body, patience=_PATIENCE)

    # Resolved here, as for timers: a name that is not set means the default.
    trigger = app.service_bus_queue_trigger(arg_name="message", connection=CONNECTION, queue_name=name)
    app.function_name(queue.value)(trigger(deliver))


def _add_timer(app: func.AsgiFunctionApp, timer: Timer, get_runtime: GetRuntime) -> None:
    def tick(occurrence: func.TimerRequest) -> None:
        timer.run(get_runtime())

    # Resolved here, not as %NAME% by the host: a setting that is absent means the default, not a dead timer.
    # Not judged here: the host reports the schedule that is none, and runs everything else.
    schedule = config.schedule(timer.setting, timer.schedule)
    trigger = app.timer_trigger(arg_name="occurrence", schedule=schedule)
    app.function_name(timer.name)(trigger(tick))
