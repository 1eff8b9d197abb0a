"""A PostgreSQL that the chaos tests may kill: nobody else uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.state import Mode
from infrastructure.embedded.templates import Templates
from tests.chaos.checks import WATCH_EFFECTS
from tests.conftest import ROOT, _schema_key


@pytest.fixture(scope="session")
def mortal_cluster() -> Cluster:
    """A server whose commits survive its own death, but not the machine's."""
    cluster = Cluster(
        ROOT / ".local/chaos", ROOT / ".local/postgresql", Mode.DISPOSABLE, settings={"synchronous_commit": "on"}
    )
    cluster.up(owner_pid=os.getpid())
    return cluster


@pytest.fixture
def mortal_database(mortal_cluster: Cluster) -> Iterator[str]:
    """The name of a fresh database in it, which notes every effect."""
    from infrastructure.postgres import schema

    mortal_cluster.up()
    templates = Templates(mortal_cluster)
    name = templates.clone(templates.ensure(_schema_key(), schema.ensure))
    with psycopg.connect(mortal_cluster.conninfo(name), autocommit=True) as conn:
        conn.execute(WATCH_EFFECTS)
    yield name
    templates.drop(name)
