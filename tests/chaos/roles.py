"""What a process of the chaos tests does: work, or submit."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config import DatabaseSettings, ServiceBusSettings
from core.contracts.effects import Effect
from core.errors import TransientError
from core.machine.broker import BrokerWorker, Desk
from core.machine.machine import CoreMachine
from core.machine.retries import RetryPolicy
from core.machine.store import Claimed, Finished
from core.machine.worker import Worker
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.queues import ServiceBus
from tests.chaos.jobs import registry
from tests.chaos.shapes import shape
from tests.support.probe import QUEUES, Silent, no_resources

RETRY = RetryPolicy(0.05, 0.3)


class Stderr:
    """A log for whoever has to find out what happened."""

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """One line."""
        print(os.getpid(), event, fields, file=sys.stderr, flush=True)


class AdvancesLate(PostgresJobStore):
    """The negative control: counts down in one transaction and asks for the next stage in another."""

    #: What makes `app.count_down` leave the next step to this class.
    RULE, BROKEN = "INSERT INTO app.queue AS q", "CONTINUE WHEN p_worker IS NOT NULL; INSERT INTO app.queue AS q"

    def step(
        self, worker: str, queues: Sequence[str], limit: int, lease: float, done: Sequence[Finished]
    ) -> list[Claimed]:
        """As ever, and then the advance."""
        claimed = super().step(worker, queues, limit, lease, done)
        self._ask_for_advance(done)
        return claimed

    def complete(
        self, worker: str, lease: float, finished: Finished, effects: Sequence[Effect]
    ) -> list[Claimed] | None:
        """As ever, and then the advance."""
        left = super().complete(worker, lease, finished, effects)
        self._ask_for_advance([finished])
        return left

    def _ask_for_advance(self, done: Sequence[Finished]) -> None:
        time.sleep(0.02)
        keys = [f.claimed.job_key for f in done], [f.claimed.stage for f in done]
        with connection(self._pool) as conn:
            conn.execute(
                "INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)"
                " SELECT DISTINCT 'geospatial-jobs', s.job_key, s.stage, -1, false, 10"
                " FROM unnest(%s::bigint[], %s::int[]) d (job_key, stage) JOIN app.stages s USING (job_key, stage)"
                " JOIN app.jobs j ON j.job_key = s.job_key AND j.stage = s.stage AND j.finished_at IS NULL"
                " WHERE s.remaining = 0 ON CONFLICT DO NOTHING",
                keys,
            )


def bus_settings(connection_string: str, admin_port: int, mark: str) -> ServiceBusSettings:
    """The emulator, with queues of this run."""
    names = {f"{kind}_queue": f"{kind}-{mark}" for kind in ("jobs", "raster", "vector", "long")}
    return ServiceBusSettings(
        connection_string=SecretStr(connection_string), emulator_admin_port=admin_port, resend_seconds=2, **names
    )


def pool_to(url: str) -> Pool:
    return open_pool(
        DatabaseSettings(url=SecretStr(url), connect_timeout=3, pool_min=1, pool_max=3), application="chaos"
    )


def machine(
    pool: Pool, name: str, lease: float, *, broken: bool = False, dispatch: Callable[[], object] | None = None
) -> CoreMachine:
    store = AdvancesLate(pool) if broken else PostgresJobStore(pool)
    return CoreMachine(
        registry(), store, no_resources, worker=name, log=Silent(), lease=lease, retry=RETRY, dispatch=dispatch
    )


def play(part: dict[str, Any]) -> None:
    """Be what the part says until killed."""
    try:
        pool = pool_to(part["url"])
        if part["role"] == "worker":
            _work(pool, part)
        else:
            _submit(pool, part)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _work(pool: Pool, part: dict[str, Any]) -> None:
    name = f"{part['name']}-{os.getpid()}"
    if part["bus"] is None:
        own = machine(pool, name, part["lease"], broken=part["broken"])
        Worker(own, QUEUES, batch=20, poll=0.1, wait=time.sleep, log=Stderr()).run()
        return
    service = ServiceBus(bus_settings(**part["bus"]), pool, Silent())
    own = machine(pool, name, part["lease"], dispatch=service.courier.call)
    desk = Desk(own, service.mail, QUEUES)
    BrokerWorker(own, desk, lambda: service.receiver(QUEUES), batch=20, poll=0.4, log=Stderr()).run()


def _submit(pool: Pool, part: dict[str, Any]) -> None:
    """Submit a range of jobs, saying after each that it was accepted; repeat what was not answered."""
    dispatch = None
    if part["bus"] is not None:
        dispatch = ServiceBus(bus_settings(**part["bus"]), pool, Silent()).courier.call
    own = machine(pool, part["name"], part["lease"], dispatch=dispatch)
    pause = threading.Event()
    with Path(part["told"]).open("ab", buffering=0) as told:
        for number in range(part["first"], part["last"]):
            made = shape(part["seed"], number, part["widest"])
            while True:
                try:
                    submission = own.submit(made.job_type, made.parameters)
                    break
                except TransientError:
                    pause.wait(0.1)
            told.write(f"{number} {submission.job_id}\n".encode())
            pause.wait(part["pause"])
