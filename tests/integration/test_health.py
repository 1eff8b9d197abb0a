"""Each component of /api/health says what is wrong with it and what to do; looking at it changes nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from config import AppSettings, DatabaseSettings, ServerSettings, StorageSettings
from tests.support.api import Api, serve
from tests.support.system import free_port
from triggers.http.service import create_service


def component(api: Api, name: str) -> dict:
    return api.of("ada").get("/api/health").json()["components"][name]


def execute(api: Api, *statements: str) -> None:
    with psycopg.connect(api.db, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def test_a_system_without_trouble_is_healthy_and_tells_how_fast_it_answers(api: Api) -> None:
    answer = api.of("ann").get("/api/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["errors"], body["warnings"]) == ("healthy", [], [])
    assert {each["status"] for each in body["components"].values()} == {"healthy"}
    assert all(each["latency_ms"] >= 0 for each in body["components"].values())
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("queue", "UPDATE app.queue SET visible_at = now() - interval '20 minutes'", "due for 120"),
        ("workers", "UPDATE app.queue SET visible_at = now() - interval '2 minutes'", "nobody works"),
        (
            "workers",
            "UPDATE app.queue SET worker = 'gone', attempt = 1, visible_at = now() - interval '2 minutes'",
            "1 leases have run out",
        ),
        (
            "outbox",
            "INSERT INTO app.outbox (topic, dedup_key, payload, created_at) "
            "VALUES ('webhook', 'x', '{}', now() - interval '20 minutes')",
            "waited for 120",
        ),
        (
            "pgstac",
            "INSERT INTO pgstac.migrations (version, datetime) VALUES ('0.1.0', now() + interval '1 s')",
            "0.1.0",
        ),
    ],
)
def test_what_wants_a_look_is_degraded_with_what_to_do(api: Api, name: str, damage: str, says: str) -> None:
    api.submit(name="x")
    execute(api, damage)
    answer = api.of("ada").get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    found = answer.json()["components"][name]
    assert found["status"] == "degraded"
    assert says in found["warning"]
    assert found["hint"]
    assert any(line.startswith(f"{name}: ") for line in answer.json()["warnings"])


def test_dead_letters_are_counted_by_kind(api: Api) -> None:
    api.submit(name="x", behaviour="permanent")
    api.drain()
    found = component(api, "dead_letters")
    assert (found["status"], found["open"], found["by_kind"]) == ("degraded", 1, {"task": 1})


def test_a_component_that_is_down_makes_the_answer_503(api: Api) -> None:
    api.submit(name="x")
    execute(api, "DELETE FROM app.queue")
    answer = api.of("ada").get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert "1 open jobs have no open work" in answer.json()["errors"][0]


def test_settings_that_are_probably_not_meant_are_named_in_production_only(db: str, tmp_path: Path) -> None:
    server = ServerSettings(GEOMACHINE_BIND="0.0.0.0")
    with serve(db, tmp_path, server=server) as api:
        found = component(api, "configuration")
        assert found["status"] == "healthy"
        assert {w["setting"] for w in found["warnings"]} >= {"ENVIRONMENT", "ETL_APP_URL"}
        app = AppSettings(GEOMACHINE_HOME=tmp_path, ENVIRONMENT="production")
        api.runtime.settings = replace(api.runtime.settings, app=app)
        del api.runtime.setting_warnings
        found = component(api, "configuration")
        assert found["status"] == "degraded"
        assert "ENVIRONMENT" not in {w["setting"] for w in found["warnings"]}
        assert found["hint"]


def test_the_service_asks_its_catalogue_and_tile_servers_too(api: Api) -> None:
    with TestClient(create_service(api.runtime), headers={"X-API-Key": "ada"}) as client:
        components = client.get("/api/health").json()["components"]
    assert {name: components[name]["status"] for name in ("stac", "features", "raster", "assets")} == {
        "stac": "healthy",
        "features": "healthy",
        "raster": "healthy",
        "assets": "healthy",
    }


def test_a_database_that_is_away_is_told_at_once_and_the_rest_is_not_asked(db: str, tmp_path: Path) -> None:
    nowhere = DatabaseSettings(DATABASE_URL=f"postgresql://operator:geheim@127.0.0.1:{free_port()}/x")
    with serve(db, tmp_path, database=nowhere) as api:
        answer = api.of("ada").get("/api/health")
        ready = api.of("ada").get("/api/readyz")
    body = answer.json()
    found = body["components"]
    # Not what the pool would wait for: platforms' probes give up long before.
    assert (answer.status_code, ready.status_code) == (503, 503)
    assert "2.00 sec" in found["database"]["error"] + ready.json()["message"]
    assert "DATABASE_URL" in found["database"]["hint"]
    assert found["storage"]["status"] == "healthy"
    assert {found[name]["hint"] for name in ("pgstac", "queue", "workers", "outbox", "machine")} == {"See database."}
    assert "geheim" not in answer.text + ready.text


def test_a_component_that_hangs_does_not_keep_the_others_from_answering(api: Api) -> None:
    with psycopg.connect(api.db) as conn:
        conn.execute("LOCK TABLE app.janitor_runs")
        found = api.of("ada").get("/api/health").json()["components"]
    assert (found["machine"]["status"], found["machine"]["error"]) == ("unhealthy", "No answer within 4 s.")
    assert found["machine"]["hint"]
    assert {found[name]["status"] for name in found if name != "machine"} == {"healthy"}


def test_probes_answer_while_every_thread_waits_for_the_database(api: Api) -> None:
    with TestClient(api.app, headers={"X-API-Key": "ada"}) as client, ThreadPoolExecutor(60) as callers:
        with psycopg.connect(api.db) as conn:
            conn.execute("LOCK TABLE app.jobs")
            stuck = [callers.submit(client.get, "/api/jobs") for _ in range(60)]
            while api.query("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] < 10:
                time.sleep(0.05)
            assert client.get("/api/livez").status_code == 200
            assert "couldn't get a connection" in client.get("/api/readyz").json()["message"]
        assert {each.result().status_code for each in stuck} == {200}


def test_a_missing_catalogue_is_told_with_what_to_do(api: Api) -> None:
    execute(api, "DROP SCHEMA pgstac CASCADE")
    answer = api.of("ada").get("/api/health")
    found = answer.json()["components"]["pgstac"]
    assert (answer.status_code, found["status"]) == (503, "unhealthy")
    assert "pgSTAC is not installed" in found["error"]
    assert found["hint"] == "Run ./geomachine db ensure."
    assert api.of("ada").get("/api/readyz").status_code == 200


def test_a_damaged_schema_fails_its_component_and_shows_no_inside(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    execute(api, "DROP TABLE app.janitor_runs CASCADE")
    answer = api.of("ada").get("/api/health")
    found = answer.json()["components"]
    assert (answer.status_code, found["machine"]["status"], found["queue"]["status"]) == (503, "unhealthy", "healthy")
    assert "db drift" in found["machine"]["hint"]
    assert "Traceback" not in answer.text
    assert "SELECT" not in answer.text


def test_a_store_that_is_away_is_told_with_what_to_do(db: str, tmp_path: Path) -> None:
    key = "a2V5IG9mIG5vYm9keSBhdCBhbGw="
    text = f"AccountName=x;AccountKey={key};BlobEndpoint=http://127.0.0.1:{free_port()}/x"
    storage = StorageSettings(AZURE_STORAGE_CONNECTION_STRING=text)
    with serve(db, tmp_path, storage=storage) as api:
        answer = api.of("ada").get("/api/health")
    found = answer.json()["components"]
    assert (answer.status_code, found["storage"]["status"]) == (503, "unhealthy")
    assert found["storage"]["hint"]
    assert key not in answer.text
    assert found["database"]["status"] == "healthy"


def test_a_database_without_our_schema_is_not_ready(api: Api) -> None:
    execute(api, "DROP SCHEMA app CASCADE")
    ready, health = api.of("ada").get("/api/readyz"), api.of("ada").get("/api/health")
    assert (ready.status_code, health.status_code) == (503, 503)
    assert ready.json()["message"] == "The database answers and has no schema of ours."
    assert "db ensure" in health.json()["components"]["database"]["hint"]
