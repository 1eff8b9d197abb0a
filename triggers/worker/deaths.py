"""A runner is dead: why, and what does the database have to know?"""

from __future__ import annotations

import queue
import signal
import threading
import time
from dataclasses import dataclass

from config import DatabaseSettings
from core.errors import GeomachineError, ResourceError, TransientError, WorkerCrashed
from core.machine.machine import Log
from core.machine.slot import Running
from core.machine.store import JobStore

_PATIENCE = 1.0  #: seconds between attempts to reach the database
_KILLED = "Nothing of ours sent that signal: the system's out-of-memory killer is the usual cause."


@dataclass(frozen=True)
class Sentence:
    """Why the parent killed a runner: for what the item of this turn did, or, without an error, for its own reasons."""

    turn: int
    error: ResourceError | None


@dataclass(frozen=True)
class Death:
    """What is left to tell. Without `running` nobody is charged: everything the worker held is given back."""

    worker: str
    running: Running | None
    error: ResourceError


def judge(worker: str, running: Running | None, code: int, sentence: Sentence | None) -> Death:
    """Charge the item that ran, unless the runner was killed for nothing of its doing."""
    if sentence is None:
        return Death(worker, running, crash(code))
    guilty = running is not None and sentence.error is not None and running.turn == sentence.turn
    return Death(worker, running if guilty else None, sentence.error or crash(code))


def crash(code: int) -> WorkerCrashed:
    """How a process ended that nobody asked to, from its `returncode`."""
    if code >= 0:
        return WorkerCrashed(f"The worker process died while it ran the task (exit code {code}).")
    message = f"The worker process died while it ran the task (signal {-code})."
    return WorkerCrashed(f"{message} {_KILLED}" if code == -signal.SIGKILL else message)


class Registrar:
    """Writes deaths into the database from a thread of its own: the living are not kept waiting by an outage."""

    def __init__(self, settings: DatabaseSettings, log: Log) -> None:
        self._settings = settings.model_copy(update={"pool_min": 0, "pool_max": 1})
        self._log = log
        self._deaths: queue.SimpleQueue[Death | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)
        self._thread.start()

    def tell(self, death: Death) -> None:
        """Have it written as soon as the database answers."""
        self._deaths.put(death)

    def finish(self, deadline: float) -> None:
        """Write what is left, or leave it to the leases' end when the time (`time.monotonic()`) is over."""
        self._deaths.put(None)
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        # Loaded here, so that the runners start meanwhile, and before the first death, when time may be short.
        from infrastructure.postgres.job_store import PostgresJobStore
        from infrastructure.postgres.pool import open_pool

        with open_pool(self._settings, application="geomachine-worker") as pool:
            store = PostgresJobStore(pool)
            while (death := self._deaths.get()) is not None:
                while not self._written(store, death):
                    time.sleep(_PATIENCE)

    def _written(self, store: JobStore, death: Death) -> bool:
        item = (death.running.queue_id, death.running.attempt) if death.running else None
        error = death.error
        try:
            returned = store.worker_died(death.worker, item, code=error.code, message=error.message, hint=error.hint)
        except TransientError as e:
            self._log.warning("death_untold", worker=death.worker, code=e.code, error=e.message)
            return False
        except Exception as e:  # the edge of the thread: one death that cannot be told must not silence all later ones
            told = f"{type(e).__name__}: {e}"
            self._log.warning("death_untold", worker=death.worker, code=GeomachineError.code, error=told, exc_info=True)
            return True  # the lease's end gives the work back
        task = str(death.running.task) if death.running else None
        self._log.info("death_told", worker=death.worker, task_id=task, code=error.code, returned=returned)
        return True
