"""How a process is configured is kept when it changes, once, without secrets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from config import ExternalServiceSettings, ServerSettings, WebhookSettings
from core.models.snapshots import SnapshotTrigger
from tests.support.api import Api, serve
from triggers.timers import TIMERS

PATH = "/api/admin/snapshot"
SECRET = "a-secret-nobody-may-read"


def test_looking_stores_nothing_and_shows_no_secret(db: str, tmp_path: Path) -> None:
    with serve(db, tmp_path, webhooks=WebhookSettings(WEBHOOK_SECRET=SecretStr(SECRET))) as api:
        answer = api.of("ada").get(PATH)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["process"] == "geomachine/standalone"
        assert body["current"]["setting WEBHOOK_SECRET"] == "set"
        assert body["current"]["setting DATABASE_URL"] == "set"
        assert body["current"]["setting RASTER_MAX_PIXELS"] == 4_000_000_000
        assert body["current"]["version pgstac"] == "0.9.12"
        assert (body["drifted"], body["last_captured_at"]) == (False, None)
        assert SECRET not in answer.text
        assert api.get(f"{PATH}/history")["count"] == 0


def test_a_configuration_is_kept_once_and_its_change_is_told(db: str, tmp_path: Path) -> None:
    with serve(db, tmp_path) as api:
        first = api.of("ada").post(PATH).json()
        again = api.of("ada").post(PATH).json()
        assert (first["created"], again["created"]) == (True, False)
        assert again["snapshot"]["snapshot_id"] == first["snapshot"]["snapshot_id"]
        assert again["snapshot"]["seen_at"] > first["snapshot"]["seen_at"]
    with serve(db, tmp_path, server=ServerSettings(HTTP_MAX_BODY_MB=20)) as api:
        looked = api.get(PATH)
        assert (looked["drifted"], looked["changes"]) == (True, {"setting HTTP_MAX_BODY_MB": [10, 20]})
        second = api.of("ada").post(PATH).json()
        assert second["snapshot"]["changes"] == {"setting HTTP_MAX_BODY_MB": [10, 20]}
        assert second["snapshot"]["previous_snapshot_id"] == first["snapshot"]["snapshot_id"]
        assert api.get(PATH)["drifted"] is False
        page = api.get(f"{PATH}/history", limit=1)
        older = api.get(f"{PATH}/history", limit=1, cursor=page["next_cursor"])
        ids = [page["snapshots"][0]["snapshot_id"], older["snapshots"][0]["snapshot_id"]]
        assert ids == [second["snapshot"]["snapshot_id"], first["snapshot"]["snapshot_id"]]
        assert api.get(f"{PATH}/history", process="other/worker")["count"] == 0


def test_a_timer_that_fires_on_two_hosts_at_once_keeps_one_row(api: Api) -> None:
    timer = next(timer for timer in TIMERS if timer.name == "snapshot")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: timer.run(api.runtime), range(4)))
    assert sorted(done) == [0, 0, 0, 1]
    [row] = api.get(f"{PATH}/history")["snapshots"]
    assert row["trigger_type"] == SnapshotTrigger.SCHEDULED.value


def test_a_timers_schedule_is_part_of_it_and_the_key_in_an_address_is_not(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = ExternalServiceSettings(SERVICE_ALERT_URL=f"https://chat.example.org/hooks/{SECRET}")
    with serve(db, tmp_path, external_services=alerts) as api:
        api.of("ada").post(PATH)
        monkeypatch.setenv("HEAL_SCHEDULE", "0 0 * * * *")
        answer = api.of("ada").get(PATH)
    assert answer.json()["changes"] == {"setting HEAL_SCHEDULE": [None, "0 0 * * * *"]}
    assert answer.json()["current"]["setting SERVICE_ALERT_URL"] == "set"
    assert SECRET not in answer.text
