"""Each component of /api/health says what is wrong with it and what to do; looking at it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from config import AppSettings, ServerSettings
from tests.support.api import Api, serve
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
