"""The HTTP API in this process on a fresh database, with a caller of every role and a machine that tests step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from fastapi.testclient import TestClient
from pydantic import JsonValue, SecretStr

import config
from composition import Runtime
from config import AppSettings, DatabaseSettings, Settings
from core.contracts.principals import Principal, PrincipalKind
from core.machine.machine import CoreMachine
from core.machine.registry import Registry
from core.machine.retries import RetryPolicy
from core.machine.store import Claimed, Finished
from core.models.access import Role
from core.models.events import JobEvent
from core.once import once
from infrastructure.auth.keys import KeyRing
from infrastructure.data_factory.client import AzureDataFactory
from infrastructure.postgres.job_store import PostgresJobStore
from jobs.registry import JOBS
from services.registry import HANDLERS
from tests.support import probe
from triggers.http.app import create_app

CALLERS = {
    "ann": frozenset({Role.PARTNER}),
    "bob": frozenset({Role.PARTNER}),
    "rita": frozenset({Role.REVIEWER, Role.PARTNER}),
    "rex": frozenset({Role.REVIEWER}),
    "ada": frozenset({Role.ADMIN}),
    "pia": frozenset({Role.REVIEWER}),
}
PEOPLE = {"pia"}  #: the others are services, which may say for whom they act


class ProbedRuntime(Runtime):
    """A runtime that also knows the probe jobs, and whose callers are `CALLERS`, each with his name as key."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.machine = self.worker("tester")

    @once
    def key_ring(self) -> KeyRing:
        def caller(name: str) -> Principal:
            kind = PrincipalKind.PERSON if name in PEOPLE else PrincipalKind.SERVICE
            return Principal(name, CALLERS[name], client_id=name, kind=kind, credential=f"key {name}")

        return KeyRing({name: caller(name) for name in CALLERS}, self.api_keys)

    @once
    def factory(self) -> AzureDataFactory | None:
        """The Data Factory of the settings, called with a token that nobody checks."""
        adf = self.settings.adf
        return AzureDataFactory(adf, lambda: "a token") if adf.configured else None

    def worker(self, name: str, *, lease: float = 60.0, backoff: float = 0.0) -> CoreMachine:
        """Another worker's view of the machine."""
        return CoreMachine(
            Registry({**JOBS, **probe.JOBS}, {**HANDLERS, **probe.HANDLERS}),
            PostgresJobStore(self.pool),
            self._resources,
            worker=name,
            log=probe.Silent(),
            lease=lease,
            promises=self.promises,
            retry=RetryPolicy(backoff, backoff),
        )


class Api:
    """Calls as somebody; looks into the database; runs what is due."""

    def __init__(self, runtime: ProbedRuntime, db: str) -> None:
        self.runtime = runtime
        self.db = db
        self.app = create_app(lambda: runtime)

    def of(self, caller: str) -> TestClient:
        """A client with this caller's key."""
        return TestClient(self.app, headers={"X-API-Key": caller})

    def get(self, path: str, caller: str = "ada", **query: object) -> dict:
        """The answer to a GET, which must succeed."""
        answer = self.of(caller).get(path, params={k: v for k, v in query.items() if v is not None})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, kind: str = "probe_light", by: str = "ann", **parameters: JsonValue) -> str:
        """Accept a probe job; its id."""
        return self.runtime.machine.submit(kind, parameters, submitted_by=by).job_id

    def drain(self, machine: CoreMachine | None = None) -> int:
        """Run what is due."""
        return (machine or self.runtime.machine).drain(probe.QUEUES, 60)

    def run_light(self, limit: int, batch: int = 500) -> None:
        """Complete about `limit` light tasks in batches, advancing as workers do."""
        m, done = self.runtime.machine, []
        for _ in range(0, limit + batch, batch):
            claimed = m.store.step(m.worker, probe.QUEUES, batch, m.lease, done)
            done = []
            for item in claimed:
                if item.is_advance:
                    m.advance([item])
                else:
                    output = probe.Probed(key=str(item.task_index), attempt=item.attempt).model_dump_json()
                    done.append(Finished(item, output, 1))
        m.store.step(m.worker, probe.QUEUES, 0, m.lease, done)

    def claim(self, limit: int = 1, machine: CoreMachine | None = None) -> list[Claimed]:
        """Lease items without running them."""
        m = machine or self.runtime.machine
        return m.store.step(m.worker, probe.QUEUES, limit, m.lease, [])

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Rows."""
        with psycopg.connect(self.db, autocommit=True) as conn:
            cursor = conn.execute(sql, values)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def serve(db: str, home: Path, **changes: object) -> Iterator[Api]:
    """The API on a database, with other settings where given."""
    given = {
        "app": AppSettings(GEOMACHINE_HOME=home),
        "database": DatabaseSettings(DATABASE_URL=SecretStr(db)),
        **changes,
    }
    settings = replace(config.load(), **given)  # type: ignore[arg-type]
    runtime = ProbedRuntime(settings)
    try:
        yield Api(runtime, db)
    finally:
        runtime.close()


def write_event(conn: psycopg.Connection, job_key: int, kind: str = "status_update") -> int:
    """Add an event in the caller's transaction; its number."""
    statement = (
        f"INSERT INTO {JobEvent.__table__.qualified} (job_key, event_type, event_status)"
        " VALUES (%s, %s, 'info') RETURNING event_id"
    )
    row = conn.execute(statement, (job_key, kind)).fetchone()
    assert row is not None
    return int(row[0])
