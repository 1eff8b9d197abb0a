"""Does the Function App work under Microsoft's own Python engine, on a real database?"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from infrastructure.queues.administration import QueueAdministration
from infrastructure.queues.connection import queue_names
from tests.sb_emulator.fixture import Emulator
from tests.support.bus import settings as bus_settings
from tests.support.engine_server import EngineServer, engine_server
from tests.support.functions_host import ROOT, needs_engine
from triggers.timers import BROKER_TIMERS, TIMERS

pytestmark = [pytest.mark.engine, needs_engine]

UNKNOWN_JOB = "0" * 64
CLOCK = {timer.name for timer in TIMERS}
BROKER_CLOCK = {timer.name for timer in BROKER_TIMERS}
CLAIM = "FROM app.claim_letters('dead', ARRAY['vector-tasks'], ARRAY[%s], ARRAY[1], ARRAY[0], %s)"
OPEN_WORK = """
    SELECT q.queue, j.job_id, q.stage, q.task_index FROM app.queue q JOIN app.jobs j USING (job_key)
    WHERE q.worker IS NULL ORDER BY q.queue_id
"""

CRASHING_APP = """
import azure.functions as func
from composition import get_runtime
from triggers.http.app import create_app

def crash() -> None:
    raise KeyError("a defect")

web = create_app(get_runtime)
web.get("/api/crash")(crash)
app = func.AsgiFunctionApp(web, http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")
"""

# Connecting takes long on Azure; here it must, or no two callers ever find the runtime unmade.
SLOW_APP = """
import time
import azure.functions as func
import composition
import config
from triggers import functions
from triggers.http.app import create_app

class SlowRuntime(composition.Runtime):
    def __init__(self, settings):
        time.sleep(0.5)
        super().__init__(settings)

composition.Runtime = SlowRuntime
web = create_app(composition.get_runtime)
app = func.AsgiFunctionApp(web, http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")
functions.register(app, composition.get_runtime, config.load())
"""


@pytest.fixture
def broker(db: str, tmp_path: Path, sb_emulator: Emulator) -> Iterator[EngineServer]:
    """The app as deployed, with Service Bus as the transport; the engine has no listener, so tests deliver by hand."""
    bus = bus_settings(sb_emulator)
    QueueAdministration(bus, queue_names(bus)).ensure()
    environment = {
        "QUEUE_TRANSPORT": "servicebus",
        "ServiceBusConnection": sb_emulator.connection_string,
        "ServiceBusConnection__fullyQualifiedNamespace": "",
        "SERVICE_BUS_EMULATOR_ADMIN_PORT": str(bus.emulator_admin_port),
        "SERVICE_BUS_JOBS_QUEUE": bus.jobs_queue,
        "SERVICE_BUS_RASTER_QUEUE": bus.raster_queue,
        "SERVICE_BUS_VECTOR_QUEUE": bus.vector_queue,
        "SERVICE_BUS_LONG_RUNNING_QUEUE": bus.long_queue,
    }
    with engine_server(db, tmp_path / "home", **environment) as server:
        yield server


@pytest.fixture
def brokerless(db: str, tmp_path: Path) -> Iterator[EngineServer]:
    """The app with PostgreSQL as the queue."""
    with engine_server(db, tmp_path / "home", QUEUE_TRANSPORT="postgres") as server:
        yield server


def app_folder(tmp_path: Path, source: str) -> Path:
    """A Function App around the repository's modules, for what the real one must not do on purpose."""
    folder = tmp_path / "app"
    folder.mkdir()
    shutil.copy(ROOT / "host.json", folder)
    (folder / "function_app.py").write_text(source)
    return folder


def call(server: EngineServer, method: str, path: str, **options: object) -> httpx.Response:
    return httpx.request(method, server.base_url + path, headers={"X-API-Key": server.key}, timeout=60, **options)


def submit_hello(server: EngineServer, **parameters: object) -> str:
    answer = call(server, "POST", "/api/jobs/submit/hello_world", json=parameters)
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def job(server: EngineServer, job_id: str) -> dict:
    return call(server, "GET", f"/api/jobs/status/{job_id}").json()


def open_work(server: EngineServer) -> list[tuple[str, str]]:
    """The queue and message body of everything a broker would deliver now."""
    with psycopg.connect(server.conninfo) as conn:
        rows = conn.execute(OPEN_WORK).fetchall()
    return [(queue, message(job_id, stage, index)) for queue, job_id, stage, index in rows]


def message(job_id: str, stage: int, index: int) -> str:
    return json.dumps({"task_id": f"{job_id}-s{stage}-{'advance' if index == -1 else index}", "attempt": 1})


def deliver_everything(server: EngineServer) -> int:
    """Play Service Bus until nothing is open; how many messages it took."""
    delivered = 0
    while work := open_work(server):
        for queue, body in work:
            outcome = server.host.fire(queue, body)
            assert outcome.succeeded, outcome.stack
            delivered += 1
    return delivered


def test_the_app_indexes_without_problems(broker: EngineServer) -> None:
    assert broker.host.problems == []
    assert set(broker.host.functions) == {
        "http",
        "geospatial-jobs",
        "raster-tasks",
        "vector-tasks",
        *CLOCK,
        *BROKER_CLOCK,
    }


def test_a_wrong_setting_is_reported_as_a_problem(db: str, tmp_path: Path) -> None:
    with engine_server(db, tmp_path, SWEEP_SCHEDULE="every minute") as server:
        assert [p for p in server.host.problems if p.startswith("sweep: schedule 'every minute'")]


def test_queue_names_come_from_the_settings(db: str, tmp_path: Path) -> None:
    settings = {"QUEUE_TRANSPORT": "servicebus", "SERVICE_BUS_RASTER_QUEUE": "rasters-of-team-a"}
    with engine_server(db, tmp_path, **settings) as server:
        trigger = server.host.functions["raster-tasks"][0]
        assert (trigger["queueName"], trigger["connection"]) == ("rasters-of-team-a", "ServiceBusConnection")


def test_without_a_broker_a_timer_takes_its_place(brokerless: EngineServer) -> None:
    assert brokerless.host.problems == []
    assert set(brokerless.host.functions) == {"http", "drain", *CLOCK}


def test_a_platform_only_app_has_no_queues_and_timers(db: str, tmp_path: Path) -> None:
    with engine_server(db, tmp_path, APP_MODE="platform_only", QUEUE_TRANSPORT="servicebus") as server:
        assert set(server.host.functions) == {"http"}


def test_concurrent_first_requests_and_timers_share_one_runtime(db: str, tmp_path: Path) -> None:
    """A runtime holds one pool, and this pool one connection: a second runtime would show as a second one."""
    name = f"app-{tmp_path.name}"[:60]
    settings = {"APP_NAME": name, "DOCKER_DB_POOL_MIN": "1", "DOCKER_DB_POOL_MAX": "1", "PYTHONPATH": str(ROOT)}
    folder = app_folder(tmp_path, SLOW_APP)
    with engine_server(db, tmp_path / "home", folder, **settings) as server, ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(call, server, "GET", "/api/readyz") for _ in range(3)]
        fired = [threads.submit(server.host.fire, timer) for timer in CLOCK]
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]
        assert all(outcome.result().succeeded for outcome in fired)
        with psycopg.connect(db) as conn:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            assert conn.execute(count, [name]).fetchone() == (1,)


def test_http_answers_as_everywhere_else(broker: EngineServer) -> None:
    assert httpx.get(f"{broker.base_url}/api/livez").json()["probe"] == "livez"
    assert "/api/platform/submit" in httpx.get(f"{broker.base_url}/api/openapi.json").json()["paths"]
    assert httpx.get(f"{broker.base_url}/api/interface/swagger").status_code == 200
    refused = httpx.post(f"{broker.base_url}/api/jobs/submit/hello_world", json={"n": 1})
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    missing = call(broker, "GET", f"/api/jobs/status/{UNKNOWN_JOB}")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    wrong = call(broker, "POST", "/api/jobs/submit/hello_world", json={"n": "many"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "VALIDATION_ERROR")


def test_query_strings_request_ids_and_unicode_pass_through(broker: EngineServer) -> None:
    job_id = submit_hello(broker, n=1, message="Grüße, 世界")
    assert job(broker, job_id)["parameters"]["message"] == "Grüße, 世界"
    answer = httpx.get(
        f"{broker.base_url}/api/jobs/{job_id}/events?limit=1&order=asc",
        headers={"X-API-Key": broker.key, "X-Request-ID": "from-the-gateway"},
    )
    assert answer.json()["event_count"] == 1
    assert answer.headers["x-request-id"] == "from-the-gateway"


def test_a_database_that_is_away_is_a_json_answer(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    with engine_server(url, tmp_path, DB_CONNECTION_TIMEOUT="1", DOCKER_DB_POOL_MIN="0") as server:
        answer = call(server, "GET", f"/api/jobs/status/{UNKNOWN_JOB}")
        assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert not server.host.fire("sweep").succeeded


def test_a_defect_is_a_json_answer_with_a_request_id(db: str, tmp_path: Path) -> None:
    """The host shows an empty 500 for any exception that leaves the ASGI app."""
    folder = app_folder(tmp_path, CRASHING_APP)
    with engine_server(db, tmp_path / "home", folder, PYTHONPATH=str(ROOT)) as server:
        answer = call(server, "GET", "/api/crash")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "a defect" not in answer.text


def test_messages_carry_a_job_to_its_end(broker: EngineServer) -> None:
    job_id = submit_hello(broker, n=3)
    deliver_everything(broker)
    finished = job(broker, job_id)
    assert finished["status"] == "completed", finished
    with psycopg.connect(broker.conninfo) as conn:
        done = conn.execute(
            "SELECT stage, count(*), max(attempt) FROM app.tasks GROUP BY stage ORDER BY stage"
        ).fetchall()
        assert done == [(1, 3, 1), (2, 3, 1)]
        assert conn.execute("SELECT result->>'replies' FROM app.jobs").fetchone() == ("3",)


def test_an_advance_message_moves_a_job_on(broker: EngineServer) -> None:
    """The worker that finished the stage died before it advanced; its lease ended and the message came again."""
    job_id = submit_hello(broker, n=1)
    with psycopg.connect(broker.conninfo, autocommit=True) as conn:
        queue_id, attempt = conn.execute(f"SELECT queue_id, attempt {CLAIM}", [job_id, 60]).fetchone()
        greeted = json.dumps({"index": 0, "text": "hi"})
        conn.execute("SELECT app.complete_one('dead', 60, %s, %s, %s, 1)", [queue_id, attempt, greeted])
        conn.execute("UPDATE app.queue SET worker = NULL, visible_at = clock_timestamp()")
        assert open_work(broker) == [("geospatial-jobs", message(job_id, 1, -1))]
        assert broker.host.fire("geospatial-jobs", message(job_id, 1, -1)).succeeded
        assert conn.execute("SELECT stage FROM app.jobs").fetchone() == (2,)


def test_submitting_sends_the_messages_and_health_counts_them(broker: EngineServer, sb_emulator: Emulator) -> None:
    submit_hello(broker, n=4)
    ends = time.monotonic() + 30
    counts: dict = {}
    while not counts.get("vector") and time.monotonic() < ends:
        queues = call(broker, "GET", "/api/health").json()["components"]["broker"]["queues"]
        counts = {queue["name"].split("-")[0]: queue["active"] for queue in queues}
    assert counts == {"jobs": 0, "raster": 0, "vector": 4, "long": 0}


def test_a_message_delivered_twice_does_its_work_once(broker: EngineServer) -> None:
    job_id = submit_hello(broker, n=2)
    (queue, body), _ = open_work(broker)
    assert all(broker.host.fire(queue, body, delivery_count=n).succeeded for n in (1, 2, 3))
    with psycopg.connect(broker.conninfo) as conn:
        assert conn.execute("SELECT remaining FROM app.stages").fetchall() == [(1,)]
        events = "SELECT count(*) FROM app.job_events WHERE event_type = 'task_completed'"
        assert conn.execute(events).fetchone() == (1,)
    deliver_everything(broker)
    assert broker.host.fire(queue, body).succeeded, "a message that comes after the job has finished"
    assert job(broker, job_id)["status"] == "completed"


def test_deliveries_at_the_same_time_do_the_work_once(broker: EngineServer) -> None:
    submit_hello(broker, n=2)
    (queue, body), _ = open_work(broker)
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda _: broker.host.fire(queue, body), range(6)))
    assert all(outcome.succeeded for outcome in outcomes)
    with psycopg.connect(broker.conninfo) as conn:
        assert conn.execute("SELECT remaining FROM app.stages").fetchall() == [(1,)]


def test_a_message_about_an_unknown_task_is_settled(broker: EngineServer) -> None:
    for queue in ("geospatial-jobs", "raster-tasks", "vector-tasks"):
        for index in (-1, 0):
            outcome = broker.host.fire(queue, message(UNKNOWN_JOB, 1, index))
            assert outcome.succeeded, outcome.stack


def test_a_message_that_names_no_task_goes_to_the_dead_letters(broker: EngineServer) -> None:
    for body in ("not json", "[]", "{}", '{"task_id": 7}', '{"task_id": "x-s1-0"}'):
        outcome = broker.host.fire("vector-tasks", body)
        assert not outcome.succeeded, body
        assert "InvalidRequest" in outcome.error


def test_every_timer_runs(broker: EngineServer) -> None:
    for name in CLOCK | BROKER_CLOCK:
        outcome = broker.host.fire(name)
        assert outcome.succeeded, outcome.stack


def test_the_sweep_returns_the_work_of_a_dead_worker(broker: EngineServer) -> None:
    job_id = submit_hello(broker, n=1)
    with psycopg.connect(broker.conninfo, autocommit=True) as conn:
        conn.execute(f"SELECT * {CLAIM}", [job_id, 0.01])
        assert open_work(broker) == []
        assert broker.host.fire("sweep").succeeded
    assert open_work(broker) == [("vector-tasks", message(job_id, 1, 0))]
    deliver_everything(broker)
    assert job(broker, job_id)["status"] == "completed"


def test_the_drain_timer_runs_a_job_without_a_broker(brokerless: EngineServer) -> None:
    job_id = submit_hello(brokerless, n=5)
    drained = brokerless.host.fire("drain")
    assert drained.succeeded, drained.stack
    finished = job(brokerless, job_id)
    assert finished["status"] == "completed", finished
    assert drained.seconds < 30
