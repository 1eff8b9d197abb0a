"""A worker process to be killed, over the probe jobs: its arguments are database, settings as JSON, name and lease."""

from __future__ import annotations

import json
import signal
import sys

from psycopg_pool import ConnectionPool

from config import ServiceBusSettings
from core.machine.broker import BrokerWorker, Desk
from infrastructure.queues import ServiceBus
from tests.support.probe import QUEUES, Silent, machine


def main() -> None:
    conninfo, described, name, lease = sys.argv[1:]
    settings = ServiceBusSettings(**json.loads(described))
    with ConnectionPool(conninfo, kwargs={"autocommit": True}, min_size=1, max_size=4, open=True) as pool:
        bus = ServiceBus(settings, pool, Silent())
        the_machine = machine(pool, name, lease=float(lease), dispatch=bus.courier.call)
        worker = BrokerWorker(
            the_machine,
            Desk(the_machine, bus.mail, QUEUES),
            lambda: bus.receiver(QUEUES),
            batch=20,
            poll=0.4,
            log=Silent(),
        )
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()
        bus.close()


if __name__ == "__main__":
    main()
