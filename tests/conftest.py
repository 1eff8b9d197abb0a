"""A private PostgreSQL for the tests, a fresh database for each that asks, and an environment without surprises."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import settings
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.state import Mode
from infrastructure.embedded.templates import Templates
from tests.sb_emulator.fixture import Emulator

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
_SCHEMA_SOURCES = ("core/models", "core/schema", "infrastructure/postgres/schema", "infrastructure/postgres/sql")


def _scrub_environment() -> None:
    """Forget what the caller's shell sets for this project: tests say themselves what they need."""
    classes = [c for c in vars(settings).values() if isinstance(c, type) and issubclass(c, settings.BaseSettings)]
    named = {field.alias for c in classes for field in c.model_fields.values()}
    for name in list(os.environ):
        if name in named or name.startswith(("GEOMACHINE_", "AZURE_", "POSTGIS_", "PG", "GDAL_", "PROJ_")):
            del os.environ[name]


_scrub_environment()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long and how far the searching tests look; a run of the whole suite looks a little."""
    group = parser.getgroup("geomachine")
    group.addoption(
        "--machine-examples", type=int, help="random histories of the state machine test; 40, always the same"
    )
    group.addoption("--chaos-seconds", type=float, help="how long the chaos tests disturb the system, each; 20")
    group.addoption("--chaos-seed", type=int, help="the seed of a chaos run to repeat; fixed when not given")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The tests' PostgreSQL, shared by all workers of a run and stopped when the run is gone, however it ended."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    cluster = Cluster(ROOT / ".local/tests", ROOT / ".local/postgresql", Mode.DISPOSABLE, report=print)
    cluster.up(owner_pid=owner)
    return cluster


@pytest.fixture(scope="session")
def templates(cluster: Cluster) -> Templates:
    """Template databases of the tests' cluster."""
    return Templates(cluster)


@pytest.fixture(scope="session")
def template(templates: Templates) -> str:
    """A database with the whole schema, made once per version of its sources."""
    from infrastructure.postgres import schema

    return templates.ensure(_schema_key(), schema.ensure)


@pytest.fixture
def make_db(cluster: Cluster, templates: Templates, template: str) -> Iterator[Callable[[], str]]:
    """A factory of fresh databases with the whole schema; each call returns the address of another one."""
    made: list[str] = []

    def make() -> str:
        made.append(templates.clone(template))
        return cluster.conninfo(made[-1])

    yield make
    for name in made:
        templates.drop(name)


@pytest.fixture
def db(make_db: Callable[[], str]) -> str:
    """The address of a fresh database with the whole schema."""
    return make_db()


@pytest.fixture
def empty_db(cluster: Cluster, templates: Templates) -> Iterator[str]:
    """The address of an empty database, for tests that build the schema themselves; one such test at a time.

    pgSTAC grants rights on roles that all databases share, which fails when two migrations run at once.
    """
    with cluster.locked("templates.lock"):
        name = templates.empty()
        yield cluster.conninfo(name)
        templates.drop(name)


@pytest.fixture(scope="session")
def sb_emulator() -> Iterator[Emulator]:
    """Azure Service Bus on free ports of this machine, without queues; its faults are for one test at a time."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files beside the repository; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is absent: this test needs real files that are not part of the repository")
    return SHARED_DATA


def _schema_key() -> str:
    digest = hashlib.sha256(importlib.metadata.version("pypgstac").encode())
    for folder in _SCHEMA_SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".sql"):
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]
