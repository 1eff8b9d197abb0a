"""Azure Monitor gets one operation for each job and nothing secret, and nobody waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from tests.support.ingestion import SILENT, Ingested, ingesting
from tests.support.system import KEY, ROOT, System, environment, free_port, process, wait_until_ready

SIGNED = "https://a.example.org/b.tif?sig=of-a-sas"
WEBHOOK = "whsec-of-the-webhooks"
Doing = Callable[[Ingested, Path], "Told"]


@dataclass(frozen=True)
class Told:
    """A job that is done, what the endpoint had when both processes were gone, and how they ended."""

    job_id: str
    request_id: str
    secrets: dict[str, str]
    ended: list[int | None]


@pytest.fixture(scope="module")
def doing(cluster: Cluster, templates: Templates, template: str) -> Iterator[Doing]:
    """Has a service and a worker do a job and stops them."""
    names: list[str] = []

    def do(endpoint: Ingested, home: Path) -> Told:
        names.append(templates.clone(template))
        conninfo, port = cluster.conninfo(names[-1]), free_port()
        (home / "temporary").mkdir()
        more = {"GEOMACHINE_PORT": str(port), "WEBHOOK_SECRET": WEBHOOK, "TMPDIR": str(home / "temporary")}
        env = environment(conninfo, home, **endpoint.environment, **more)
        with process("serve", env, home / "serve.log") as serve, process("worker", env, home / "worker.log") as worker:
            system = System(f"http://127.0.0.1:{port}", KEY, conninfo, home)
            wait_until_ready(system, home / "serve.log")
            job_id, request_id = _do_a_job(system)
        secrets = {
            "the connection string": endpoint.connection_string,
            "the database": conninfo,
            "the password of the database": str(conninfo_to_dict(conninfo)["password"]),
            "the API key": KEY,
            "the webhook secret": WEBHOOK,
            "a signature in a query": "of-a-sas",
        }
        return Told(job_id, request_id, secrets, [serve.returncode, worker.returncode])

    yield do
    for name in names:
        templates.drop(name)


def _do_a_job(system: System) -> tuple[str, str]:
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [7, 46]}, "properties": {"name": "Ort"}}
    file = system.home / "orte.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [point]}))
    stored = system.upload(file, "bronze-vectors")
    body = {
        "dataset_id": "orte",
        "resource_id": "r1",
        "version_id": "v1",
        "container_name": stored.container,
        "file_name": stored.path,
        "service_name": "Orte",
    }
    with system.client() as client:
        client.get("/api/jobs/status/none", params={"source": SIGNED, "code": KEY})
        answer = client.post("/api/platform/submit", json=body, headers={"X-Request-ID": "call-7"})
        assert answer.status_code == 202, answer.text
        status = system.finish(client, answer.json()["request_id"])
        assert status["job_status"] == "completed", status
        client.post("/test/logging")
    return str(status["job_id"]), str(answer.json()["request_id"])


@pytest.fixture(scope="module")
def told(doing: Doing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Told, Ingested]]:
    """A job whose telemetry arrived."""
    with ingesting() as endpoint:
        yield doing(endpoint, tmp_path_factory.mktemp("azure")), endpoint


def _properties(envelope: dict) -> dict[str, str]:
    found: dict[str, str] = envelope["data"]["baseData"]["properties"]
    return found


def test_a_job_is_one_operation_with_its_ids_as_dimensions(told: tuple[Told, Ingested]) -> None:
    done, endpoint = told
    operation = done.job_id[:32]
    [accepted] = [each for each in endpoint.of("RemoteDependencyData", operation) if _name(each).startswith("job ")]
    tasks = [each for each in endpoint.of("RequestData", operation) if _name(each).startswith("task ")]
    assert {_name(each) for each in tasks} == {
        "task process_vector_prepare",
        "task process_vector_upload",
        "task vector_create_stac",
    }
    assert all(each["data"]["baseData"]["success"] for each in tasks)
    assert {each["tags"]["ai.operation.parentId"] for each in tasks} == {accepted["data"]["baseData"]["id"]}
    assert {_properties(each)["geomachine.stage"] for each in tasks} == {"1", "2", "3"}
    assert all(_properties(each)["geomachine.task_id"].startswith(done.job_id) for each in tasks)
    for each in (accepted, *tasks):
        assert _properties(each)["geomachine.job_id"] == done.job_id
        assert _properties(each)["geomachine.correlation_id"] == done.request_id
    elsewhere = [each for each in endpoint.envelopes if each["tags"].get("ai.operation.id") != operation]
    assert not [each for each in elsewhere if _properties(each).get("geomachine.task_id")]


def _name(envelope: dict) -> str:
    return str(envelope["data"]["baseData"]["name"])


def test_its_log_lines_are_in_the_operation_with_the_same_dimensions(told: tuple[Told, Ingested]) -> None:
    done, endpoint = told
    lines = [each for each in endpoint.of("MessageData") if _properties(each).get("geomachine.job_id") == done.job_id]
    [accepted] = [each for each in lines if _message(each) == "job_accepted"]
    assert _properties(accepted)["geomachine.request_id"] == "call-7"
    [request] = [each for each in endpoint.of("RequestData") if _name(each) == "POST /api/platform/submit"]
    assert accepted["tags"]["ai.operation.id"] == request["tags"]["ai.operation.id"]
    advanced = [each for each in lines if _message(each) == "stage_advanced"]
    assert {each["tags"]["ai.operation.id"] for each in advanced} == {done.job_id[:32]}
    assert {_properties(each)["geomachine.stage"] for each in advanced} == {"1", "2", "3"}
    assert {_properties(each)["geomachine.correlation_id"] for each in advanced} == {done.request_id}
    tested = [each for each in endpoint.of("MessageData") if _message(each) == "logging_test"]
    assert [each["data"]["baseData"]["severityLevel"] for each in tested] == [1, 2, 3], "information, warning, error"


LOGS_AN_EXCEPTION = """
import logging, structlog
import config
from infrastructure import telemetry
settings = config.load()
telemetry.configure()
telemetry.start(settings.telemetry, "probe")
try:
    int("seven")
except ValueError:
    structlog.get_logger().exception("count_failed", job_id="ab" * 32)
    logging.getLogger("a.library").exception("The library failed.")
"""


def test_exceptions_arrive_as_such_even_where_a_process_just_ends(tmp_path: Path) -> None:
    with ingesting() as endpoint:
        env = environment("postgresql://nowhere/x", tmp_path, **endpoint.environment)
        subprocess.run([sys.executable, "-c", LOGS_AN_EXCEPTION], env=env, check=True, timeout=60, cwd=ROOT)
    ours, library = endpoint.of("ExceptionData")
    assert ours["tags"]["ai.operation.id"] == "ab" * 16
    assert _properties(ours)["geomachine.job_id"] == "ab" * 32
    [raised] = ours["data"]["baseData"]["exceptions"]
    assert (raised["typeName"], raised["message"]) == ("ValueError", "count_failed")
    assert "invalid literal for int() with base 10: 'seven'" in raised["stack"]
    assert library["data"]["baseData"]["exceptions"][0]["message"] == "The library failed."


def _message(envelope: dict) -> str:
    return str(envelope["data"]["baseData"]["message"])


def test_metrics_arrive_from_both_processes(told: tuple[Told, Ingested]) -> None:
    _, endpoint = told
    found = {
        (each["tags"]["ai.cloud.role"], metric["name"])
        for each in endpoint.of("MetricData")
        for metric in each["data"]["baseData"]["metrics"]
    }
    assert {
        ("geomachine.geomachine-service", "http.server.request.duration"),
        ("geomachine.geomachine-service", "geomachine.jobs.accepted"),
        ("geomachine.geomachine-service", "geomachine.outbox.oldest.age"),
        ("geomachine.geomachine-worker", "geomachine.task.duration"),
    } <= found


def test_no_secret_is_told(told: tuple[Told, Ingested]) -> None:
    done, endpoint = told
    everything = "\n".join(endpoint.raw)
    assert done.job_id in everything
    assert [what for what, secret in done.secrets.items() if secret in everything] == []


def test_nobody_else_is_called_and_both_processes_end_well(told: tuple[Told, Ingested]) -> None:
    done, endpoint = told
    assert endpoint.elsewhere == []
    assert done.ended == [0, 0]


@pytest.mark.parametrize("status", [429, 503, SILENT, None], ids=["throttles", "fails", "is silent", "is away"])
def test_an_endpoint_that_takes_nothing_holds_up_neither_jobs_nor_ends(
    doing: Doing, tmp_path: Path, status: int | None
) -> None:
    with ingesting(200 if status is None else status) as endpoint:
        if status is None:
            endpoint.url = f"http://127.0.0.1:{free_port()}"
        done = doing(endpoint, tmp_path)
    assert done.ended == [0, 0], (tmp_path / "worker.log").read_text()[-2000:]
    assert (endpoint.asked > 0) == (status is not None)
    kept = [path.name for path in (tmp_path / "temporary").iterdir() if "Monitor" in path.name]
    assert kept == [], "telemetry on a disk that may be full or read-only"
    assert endpoint.elsewhere == []
