"""One trace for each job across processes, metrics for whoever collects, logs that name what they are about."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from tests.support.collector import Collected, attributes, collecting
from tests.support.system import KEY, ROOT, System, environment, free_port, process, wait_until_ready

READER = "a-key-for-prometheus-only"
ASKED = "0af7651916cd43dd8448eb211c80319c"  #: the trace of the example in the W3C recommendation
MARKER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Watched:
    """What a system told while it did one job, and after it was stopped."""

    job_id: str
    collected: Collected
    logs: list[dict]
    metrics: str
    answers: dict[str, httpx.Response]


@pytest.fixture(scope="module")
def watched(
    cluster: Cluster, templates: Templates, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A service and a worker, a job of theirs, and what the collector had when both were gone."""
    home = tmp_path_factory.mktemp("telemetry")
    name = templates.clone(template)
    with collecting() as collected:
        port = free_port()
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url, "METRICS_KEY": READER, "GEOMACHINE_PORT": str(port)}
        env = environment(cluster.conninfo(name), home, **more)
        with process("serve", env, home / "serve.log"), process("worker", env, home / "worker.log", "--processes", "1"):
            system = System(f"http://127.0.0.1:{port}", KEY, cluster.conninfo(name), home)
            wait_until_ready(system, home / "serve.log")
            with system.client() as client:
                job_id = _do_a_job(client)
                metrics = client.get("/api/metrics", headers={"X-API-Key": READER}).text
                answers = _ask(client, job_id)
        lines = [(home / f"{each}.log").read_text().splitlines() for each in ("serve", "worker")]
        logs = [json.loads(line) for line in (*lines[0], *lines[1]) if line.startswith("{")]
        yield Watched(job_id, collected, logs, metrics, answers)
    templates.drop(name)


def _do_a_job(client: httpx.Client) -> str:
    headers = {"traceparent": f"00-{ASKED}-b7ad6b7169203331-01", "X-Request-ID": "call-7"}
    answer = client.post("/api/jobs/submit/hello_world", json={"n": 3}, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    job_id = answer.json()["job_id"]
    for _ in range(600):
        if client.get(f"/api/jobs/status/{job_id}").json()["status"] == "completed":
            return str(job_id)
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def _ask(client: httpx.Client, job_id: str) -> dict[str, httpx.Response]:
    written = client.post("/test/logging", headers={"X-Request-ID": "call-8"})
    reader = {"X-API-Key": READER}
    return {
        "written": written,
        "verified": client.get(written.json()["verify_url"]),
        "forgotten": client.get("/test/logging/verify", params={"marker": "0" * 32}),
        "logs": client.get(f"/api/jobs/{job_id}/logs"),
        "reader elsewhere": client.get("/api/jobs", headers=reader),
        "admin": client.get("/api/metrics"),
        "nobody": httpx.get(f"{client.base_url}/api/metrics", trust_env=False),
    }


def test_a_job_is_one_trace_from_the_request_to_its_last_task(watched: Watched) -> None:
    told = watched.collected.trace(watched.job_id[:32])
    by_name: dict[str, list[tuple[str, Span]]] = {}
    for who, span in told:
        by_name.setdefault(span.name, []).append((who, span))
    [(who, first)] = by_name["job hello_world"]
    assert who == "geomachine-service"
    assert first.span_id.hex() == watched.job_id[32:48]
    assert first.parent_span_id == b""
    assert [link.trace_id.hex() for link in first.links] == [ASKED]
    others = [(who, span) for who, span in told if span.name != "job hello_world"]
    assert {who for who, _ in others} == {"geomachine-worker"}
    assert {span.parent_span_id for _, span in others} == {first.span_id}
    tasks = {attributes(span)["geomachine.task_id"]: span for _, span in others if span.name.startswith("task ")}
    assert len(tasks) == 6, "three greetings and three answers"
    assert {attributes(span)["geomachine.outcome"] for span in tasks.values()} == {"completed"}
    assert "advance" in by_name


def test_the_request_is_in_the_callers_trace_and_names_the_job(watched: Watched) -> None:
    [(who, span)] = watched.collected.trace(ASKED)
    assert (who, span.name) == ("geomachine-service", "POST /api/jobs/submit/{job_type}")
    assert attributes(span)["geomachine.job_id"] == watched.job_id
    assert attributes(span)["geomachine.request_id"] == "call-7"
    assert attributes(span)["http.response.status_code"] in (200, 202)


def test_metrics_reach_the_collector_from_every_process(watched: Watched) -> None:
    assert {
        ("geomachine-service", "http.server.request.duration"),
        ("geomachine-service", "geomachine.jobs.accepted"),
        ("geomachine-service", "geomachine.jobs.stranded"),
        ("geomachine-worker", "geomachine.task.duration"),
    } <= watched.collected.metrics


def test_prometheus_reads_the_systems_figures_and_the_processes_own(watched: Watched) -> None:
    assert re.search(
        r"^geomachine_jobs_stranded_ratio\S* 0.0$|^geomachine_jobs_stranded\S* 0.0$", watched.metrics, re.M
    )
    assert re.search(
        r'^http_server_request_duration_seconds_count\{.*http_route="/api/jobs/submit/\{job_type\}".*\} 1.0$',
        watched.metrics,
        re.M,
    )
    assert "geomachine_outbox_oldest_age_seconds" in watched.metrics


def test_what_prometheus_reads_is_well_formed_and_explained_to_operators(watched: Watched) -> None:
    families = list(text_string_to_metric_families(watched.metrics))
    assert len({family.name for family in families}) == len(families)
    assert [family.name for family in families if not (family.documentation and family.type and family.samples)] == []
    guide = (ROOT / "docs" / "how-to" / "watch-the-system.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(geomachine\.[a-z_.]+)`", guide))
    told = {name for _, name in watched.collected.metrics if name.startswith("geomachine.")}
    assert told
    assert told <= explained
    written = {name.replace(".", "_") for name in explained}
    ours = {family.name for family in families if family.name.startswith("geomachine_")}
    assert {name for name in ours if not name.startswith(tuple(written))} == set()


def test_only_admins_and_the_key_for_metrics_read_them(watched: Watched) -> None:
    status = {name: answer.status_code for name, answer in watched.answers.items()}
    assert (status["admin"], status["nobody"], status["reader elsewhere"]) == (200, 401, 403)


def test_log_lines_name_request_job_task_and_trace(watched: Watched) -> None:
    [accepted] = [line for line in watched.logs if line["event"] == "job_accepted"]
    assert accepted["job_id"] == watched.job_id
    assert (accepted["request_id"], accepted["trace_id"]) == ("call-7", ASKED)
    advanced = [line for line in watched.logs if line["event"] == "stage_advanced"]
    assert {line["job_id"] for line in advanced} == {watched.job_id}
    assert all(line["level"] and line["timestamp"] for line in watched.logs)


def test_the_logging_test_finds_the_lines_it_wrote(watched: Watched) -> None:
    marker = watched.answers["written"].json()["marker"]
    assert MARKER.fullmatch(marker)
    state = watched.answers["verified"].json()
    assert (state["working"], state["level"], state["with_request_id"]) == (True, "info", True)
    assert state["written"] == ["info", "warning", "error"]
    assert state["collectors"] == {"azure_monitor": False, "otlp": True}
    lines = [line for line in watched.logs if line.get("marker") == marker]
    assert [(line["level"], line["request_id"]) for line in lines] == [
        ("info", "call-8"),
        ("warning", "call-8"),
        ("error", "call-8"),
    ]
    assert watched.answers["forgotten"].status_code == 404


def test_a_jobs_logs_lead_to_its_trace(watched: Watched) -> None:
    body = watched.answers["logs"].json()
    assert body["trace_id"] == watched.job_id[:32]
    assert body["logs"][0]["event"] == "job_completed"
    assert {"job", "stage", "task"} >= {line["component"] for line in body["logs"]} >= {"job", "stage"}
