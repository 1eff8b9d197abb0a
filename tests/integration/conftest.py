"""Fixtures of tests that speak to the API in their own process, and of those over Service Bus."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg_pool import ConnectionPool

from infrastructure.postgres.pool import Pool
from infrastructure.queues import ServiceBus
from tests.sb_emulator.fixture import Emulator
from tests.support.api import Api, serve
from tests.support.bus import Bus, settings
from tests.support.hills import make_hills
from tests.support.probe import Silent
from tests.support.remote import Remote, serving


@pytest.fixture
def pool(db: str) -> Iterator[Pool]:
    """Connections to the fresh database."""
    with ConnectionPool(db, kwargs={"autocommit": True}, min_size=1, max_size=12, open=True) as opened:
        yield opened


@pytest.fixture
def remote() -> Iterator[Remote]:
    """A server of others on this machine."""
    with serving() as running:
        yield running


@pytest.fixture
def api(db: str, tmp_path: Path) -> Iterator[Api]:
    """The API on a fresh database."""
    with serve(db, tmp_path) as running:
        yield running


@pytest.fixture
def hills(api: Api, tmp_path: Path) -> dict[str, str]:
    """A raster and a table of dataset Hills, processed and not approved: their job ids by resource."""
    return make_hills(api, tmp_path)


@pytest.fixture
def make_bus(db: str, sb_emulator: Emulator) -> Iterator[Callable[..., Bus]]:
    """A factory of transports on one database, with their queues; settings may be changed."""
    with ConnectionPool(db, kwargs={"autocommit": True}, min_size=1, max_size=12, open=True) as pool:
        made: list[Bus] = []

        def make(*, ensure: bool = True, **changes: object) -> Bus:
            chosen = settings(sb_emulator, **changes)
            made.append(Bus(sb_emulator, chosen, pool, ServiceBus(chosen, pool, Silent())))
            if ensure:
                made[-1].service.administration.ensure()
            return made[-1]

        yield make
        for bus in made:
            bus.service.close()
        gc.collect()  # sockets the SDK forgot, while the test's own filter of warnings still holds


@pytest.fixture
def bus(make_bus: Callable[..., Bus]) -> Bus:
    """Service Bus with its queues, and the database."""
    return make_bus()
