"""Whom data is for is never guessed: a task that is not told does nothing."""

from __future__ import annotations

from tests.integration.test_revisions import put_points
from tests.support.api import Api

BODY = {"dataset_id": "towns", "resource_id": "r", "version_id": "v1", "container_name": "bronze-vectors"}


def test_a_task_that_lost_its_access_level_fails_at_once(api: Api) -> None:
    put_points(api, "a")
    answer = api.of("ann").post("/api/platform/submit", json={**BODY, "file_name": "towns.geojson"}).json()
    api.query("UPDATE app.tasks SET parameters = parameters - 'access_level' WHERE parameters ? 'access_level'")
    api.drain()
    status = api.get(f"/api/platform/status/{answer['request_id']}", "ann", verbose=True)
    assert status["job_status"] == "failed"
    assert "access_level" in status["job_error"]["message"]
    (task,) = status["task_summary"]["tasks"]
    assert (task["attempt"], task["status"]) == (1, "failed"), "it is not tried again"
    assert api.query("SELECT count(*) FROM pgstac.items") == [(0,)]
