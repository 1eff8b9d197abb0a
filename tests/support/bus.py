"""A Service Bus of a test's own: queues of its own in the emulator, and workers over them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from azure.servicebus import ServiceBusMessage
from pydantic import SecretStr

from config import ServiceBusSettings
from core.machine.broker import BrokerWorker, Desk, Mail
from core.machine.machine import CoreMachine
from infrastructure.postgres.pool import Pool
from infrastructure.queues import ServiceBus, connection
from infrastructure.queues.receiver import text
from tests.sb_emulator.fixture import Emulator
from tests.support.probe import QUEUES, Silent, machine


def settings(emulator: Emulator, **changes: object) -> ServiceBusSettings:
    """The emulator, with queue names nobody else has."""
    mark = uuid.uuid4().hex[:8]
    names = {f"{kind}_queue": f"{kind}-{mark}" for kind in ("jobs", "raster", "vector", "long")}
    return ServiceBusSettings(
        connection_string=SecretStr(emulator.connection_string),
        emulator_admin_port=emulator.info["admin"],
        **{**names, **changes},
    )


@dataclass
class Bus:
    """The transport under test, the emulator behind it and the database in front."""

    emulator: Emulator
    settings: ServiceBusSettings
    pool: Pool
    service: ServiceBus

    @property
    def names(self) -> dict[str, str]:
        """The queues in Service Bus by our names."""
        return dict(connection.queue_names(self.settings))

    def machine(self, worker: str = "tester", *, dispatch: bool = True, **options: object) -> CoreMachine:
        """A machine that has its work sent at once, or not at all."""
        return machine(self.pool, worker, dispatch=self.service.courier.call if dispatch else None, **options)

    def desk(self, name: str = "tester", queues: Sequence[str] = QUEUES, **options: object) -> Desk:
        """Where messages become claims."""
        return Desk(self.machine(name, **options), self.service.mail, queues)

    def worker(
        self, name: str = "w1", *, heavy: bool = False, mail: Mail | None = None, **options: object
    ) -> BrokerWorker:
        """A worker over the queues of the jobs under test: every one takes a while to connect."""
        queues = QUEUES if heavy else ["geospatial-jobs", "vector-tasks"]
        the_machine = self.machine(name, **options)
        return BrokerWorker(
            the_machine,
            Desk(the_machine, mail or self.service.mail, queues),
            lambda: self.service.receiver(queues),
            batch=20,
            poll=0.4,
            log=Silent(),
        )

    def send(self, queue: str, *bodies: str | bytes, **properties: object) -> None:
        """Messages as a stranger would send them."""
        with connection.client(self.settings) as client, client.get_queue_sender(self.names[queue]) as sender:
            sender.send_messages([ServiceBusMessage(body, **properties) for body in bodies])

    def receive(self, queue: str, most: int = 50, wait: float = 1.0) -> list[str]:
        """Take and complete what is there; the bodies."""
        with connection.client(self.settings) as client, client.get_queue_receiver(self.names[queue]) as receiver:
            found = receiver.receive_messages(max_message_count=most, max_wait_time=wait)
            for message in found:
                receiver.complete_message(message)
            return [text(message) for message in found]

    def stats(self, queue: str) -> dict[str, int]:
        """The emulator's counters of a queue."""
        return self.emulator.stats(self.names[queue])

    def query(self, sql: str, *args: object) -> list[tuple]:
        """Rows of the database."""
        with self.pool.connection() as conn:
            return conn.execute(sql, args).fetchall()

    def wait(self, what: Callable[[], bool], seconds: float = 60) -> None:
        """Until something is true."""
        ends = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < ends, f"not after {seconds} s: {self.query('SELECT * FROM app.queue')}"
            time.sleep(0.05)

    def wait_sent(self) -> None:
        """Until every free row has been handed to the broker."""
        self.wait(
            lambda: (
                self.query("SELECT count(*) FROM app.queue WHERE worker IS NULL AND dispatched_at IS NULL") == [(0,)]
            )
        )

    def wait_finished(self) -> None:
        """Until every job has ended."""
        self.wait(lambda: self.query("SELECT count(*) FROM app.jobs WHERE finished_at IS NULL") == [(0,)])


@contextmanager
def running(*workers: BrokerWorker) -> Iterator[None]:
    """Workers in threads while inside; their own errors are raised at the end."""
    failures: list[BaseException] = []

    def run(worker: BrokerWorker) -> None:
        try:
            worker.run()
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(60)
    assert failures == []


def body(job_id: str, stage: int = 1, index: int | str = 0) -> str:
    """A message about a task."""
    return json.dumps({"task_id": f"{job_id}-s{stage}-{index}", "attempt": 1})
