"""Is every job done exactly once when processes, connections, messages and the server itself die at random?

A run is its seed: `--chaos-seed N` repeats the jobs and the order of the faults, `--chaos-seconds S` disturbs for
longer. What is compared comes from the rows and from an interpreter that runs the same jobs in order.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.cluster import Cluster
from tests.chaos import roles
from tests.chaos.checks import broken_rules
from tests.chaos.storm import Plan, Storm
from tests.sb_emulator.fixture import Emulator

pytestmark = [
    pytest.mark.timeout(1200),
    # The Service Bus SDK leaves the sockets of connections that were cut to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
SEED = 20261124
SECONDS = 25.0


def weather(
    plan: Plan, cluster: Cluster, database: str, emulator: Emulator | None, folder: Path
) -> tuple[list[str], str]:
    """Run a storm; the broken rules, and its figures."""
    storm = Storm(plan, cluster, database, emulator, folder)
    try:
        storm.run()
        wrong = broken_rules(storm.query, plan.seed, plan.widest, storm.accepted())
        if storm.errors():
            wrong.append(f"a process ended by itself: {storm.errors()}")
        figures = storm.figures()
        print(figures)
        return wrong, f"{figures}\n{storm.said()}"
    finally:
        storm.close()
        gc.collect()  # the SDK's sockets, while the filter above still holds


@pytest.fixture
def plan(request: pytest.FixtureRequest) -> Plan:
    seed = request.config.getoption("--chaos-seed")
    seconds = request.config.getoption("--chaos-seconds") or SECONDS
    return Plan(SEED if seed is None else seed, seconds, jobs=int(seconds * 14), widest=60)


def test_over_postgres_every_job_ends_once_as_a_sequential_run_does(
    plan: Plan, mortal_cluster: Cluster, mortal_database: str, tmp_path: Path
) -> None:
    wrong, told = weather(plan, mortal_cluster, mortal_database, None, tmp_path)
    assert wrong == [], told


def test_over_service_bus_every_job_ends_once_as_a_sequential_run_does(
    plan: Plan, mortal_cluster: Cluster, mortal_database: str, sb_emulator: Emulator, tmp_path: Path
) -> None:
    wet = replace(
        plan,
        seconds=plan.seconds * 0.6,
        jobs=int(plan.seconds * 3),
        widest=15,
        faults=(*plan.faults, "broker", "broker"),
    )
    wrong, told = weather(wet, mortal_cluster, mortal_database, sb_emulator, tmp_path)
    assert wrong == [], told


def test_the_checks_find_a_store_that_advances_outside_the_transaction(
    mortal_cluster: Cluster, mortal_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(mortal_cluster.conninfo(mortal_database), autocommit=True) as conn:
        text = conn.execute("SELECT pg_get_functiondef('app.count_down'::regproc)").fetchone()[0]
        assert roles.AdvancesLate.RULE in text
        conn.execute(text.replace(roles.AdvancesLate.RULE, roles.AdvancesLate.BROKEN))
    plan = Plan(SEED, seconds=8, jobs=120, widest=20, broken=True, faults=("kill",), crashes=False)
    wrong, told = weather(plan, mortal_cluster, mortal_database, None, tmp_path)
    assert any(sentence.startswith("a job is stranded") for sentence in wrong), told
