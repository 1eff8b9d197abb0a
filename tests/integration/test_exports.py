"""Public data leaves once, by one run of one pipeline; nothing else ever does. The factory is a stand-in over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from config import AdfSettings
from core.errors import ContractViolation, Forbidden
from tests.integration.test_approvals import decide, finished
from tests.integration.test_four_eyes import set_policy
from tests.integration.test_revisions import put_points, submit
from tests.support.api import Api, serve
from tests.support.remote import Asked, Remote, Says, serving
from tests.support.serving import make_catalogue
from triggers.timers import TIMERS

FACTORY = "/subscriptions/sub-1/resourceGroups/group-1/providers/Microsoft.DataFactory/factories/factory-1"


class Factory:
    """What the documented REST interface answers: runs that tests move on."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.runs: dict[str, dict] = {}
        self.down = False
        self.forgetful = False  # starts a run and dies before it answers
        remote.answer = self.answer

    def answer(self, asked: Asked) -> Says:
        assert asked.headers["authorization"] == "Bearer a token"
        assert asked.query == {"api-version": "2018-06-01"}
        path = asked.path.removeprefix(FACTORY)
        if self.down:
            return Says(status=503)
        if asked.method == "POST" and path.endswith("/createRun"):
            return self._create(path.split("/")[2], json.loads(asked.body))
        if path == "/queryPipelineRuns":
            names = json.loads(asked.body)["filters"][0]["values"]
            return _json({"value": [run for run in self.runs.values() if run["pipelineName"] in names]})
        if path.startswith("/pipelineruns/") and path.split("/")[2] in self.runs:
            return _json(self.runs[path.split("/")[2]])
        if path == "/pipelines":
            return _json({"value": [{"name": "blob_internal_to_external"}]})
        if path == "":
            return _json({"properties": {"provisioningState": "Succeeded"}})
        return _json({"error": {"code": "NotFound", "message": path}}, 404)

    def _create(self, pipeline: str, parameters: dict) -> Says:
        run_id = f"run-{len(self.runs) + 1}"
        run = {"runId": run_id, "pipelineName": pipeline, "status": "InProgress", "parameters": parameters}
        self.runs[run_id] = run
        if self.forgetful:
            self.forgetful = False
            return Says(status=502)
        return _json({"runId": run_id})


def _json(body: object, status: int = 200) -> Says:
    return Says(json.dumps(body).encode(), status, {"Content-Type": "application/json"})


@pytest.fixture
def factory() -> Iterator[Factory]:
    with serving() as remote:
        yield Factory(remote)


@pytest.fixture
def api(db: str, tmp_path: Path, factory: Factory) -> Iterator[Api]:
    """The API with a factory, and three items that nobody has approved."""
    made = make_catalogue(db, tmp_path / "storage")
    made.collection("c")
    for name in ("a", "b", "d"):
        made.item("c", name, published=False)
    adf = AdfSettings(
        ADF_SUBSCRIPTION_ID="sub-1",
        ADF_RESOURCE_GROUP="group-1",
        ADF_FACTORY_NAME="factory-1",
        ADF_ENDPOINT=factory.remote.url,
    )
    with serve(db, tmp_path, adf=adf) as running:
        yield running


def sweep(api: Api) -> None:
    for timer in TIMERS:
        if timer.name in ("sweep", "exports"):
            timer.run(api.runtime)


def record(api: Api, approval: str) -> dict:
    return api.get(f"/api/approvals/{approval}")


def test_an_approved_public_dataset_leaves_and_its_run_is_followed_to_the_end(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public", dataset_id="s", resource_id="r", version_id="v")
    assert decide(api, approval, "approve").json()["action"] == "adf_queued"
    assert factory.runs == {}, "nothing leaves inside the transaction"
    sweep(api)
    (run,) = factory.runs.values()
    assert run["pipelineName"] == "blob_internal_to_external"
    assert run["parameters"].items() >= {"access_level": "public", "approval_id": approval, "dataset_id": "s"}.items()
    found = record(api, approval)
    assert (found["adf_run_id"], found["adf_status"], found["adf_finished_at"]) == ("run-1", "InProgress", None)
    run["status"] = "Succeeded"
    sweep(api)
    assert record(api, approval)["adf_status"] == "Succeeded"
    before = len(factory.remote.asked)
    sweep(api)
    assert len(factory.remote.asked) == before, "an ended run is not asked for again"
    assert api.get("/api/admin/adf/runs/run-1")["status"] == "Succeeded"


def test_twenty_approvals_at_once_make_one_run(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: decide(api, approval, "approve").status_code, range(20)))
    assert sorted(answers) == [200] + [409] * 19
    for _ in range(3):
        sweep(api)
    assert list(factory.runs) == ["run-1"]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_policy_lets_public_data_leave_only_if_it_says_so(api: Api, factory: Factory, allowed: bool) -> None:
    put_points(api, "old")
    first = submit(api, "bronze-vectors", "towns.geojson", access_level="public")["approval"]["approval_id"]
    assert decide(api, first, "approve").json()["action"] == "adf_queued"
    set_policy(api, "default", auto_approve=True, auto_export=allowed)
    put_points(api, "new")
    status = submit(api, "bronze-vectors", "towns.geojson", access_level="public", overwrite=True)
    for _ in range(2):  # the decision, and the export that it promises
        sweep(api)
    assert record(api, status["approval"]["approval_id"])["status"] == ("approved" if allowed else "pending")
    assert len(factory.runs) == (2 if allowed else 1)


@pytest.mark.parametrize("level", ["ouo", "restricted"])
def test_what_is_not_public_stays(api: Api, factory: Factory, level: str) -> None:
    approval = finished(api, "a", access_level=level)
    assert decide(api, approval, "approve").json()["action"] == "stac_updated"
    sweep(api)
    assert factory.remote.asked == []
    exports = api.runtime.exports
    assert exports is not None
    with pytest.raises(Forbidden):
        exports.deliver({"approval_id": approval, "access_level": "public"})
    with pytest.raises(ContractViolation):
        exports.deliver({"approval_id": approval})
    assert factory.runs == {}
    for lie in ("public", level):
        with pytest.raises(psycopg.errors.CheckViolation):
            api.query(
                "INSERT INTO app.outbox (topic, dedup_key, payload) VALUES ('adf', 'x', jsonb_build_object("
                "'approval_id', %s::text, 'access_level', %s::text))",
                approval,
                lie,
            )
    with pytest.raises(psycopg.errors.CheckViolation):
        api.query("UPDATE app.dataset_approvals SET adf_run_id = 'run-9' WHERE approval_id = %s", approval)


def test_a_factory_that_is_away_is_asked_again(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public")
    factory.down = True
    decide(api, approval, "approve")
    sweep(api)
    assert record(api, approval)["adf_run_id"] is None
    factory.down = False
    sweep(api)
    assert record(api, approval)["adf_run_id"] == "run-1"


def test_a_run_whose_start_was_not_heard_of_is_not_started_twice(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public")
    factory.forgetful = True
    decide(api, approval, "approve")
    for _ in range(3):
        sweep(api)
    assert list(factory.runs) == ["run-1"]
    assert record(api, approval)["adf_run_id"] == "run-1"


def test_runs_that_the_factory_forgot_do_not_keep_others_from_being_followed(api: Api, factory: Factory) -> None:
    lost, other = (finished(api, name, access_level="public") for name in ("a", "b"))
    for approval in (lost, other):
        decide(api, approval, "approve")
        sweep(api)
    factory.runs["run-2"]["status"] = "Succeeded"
    del factory.runs["run-1"]
    exports = api.runtime.exports
    assert exports is not None
    for _ in range(50):  # one at a time, as if there were many more
        exports.poll(1)
    assert record(api, other)["adf_status"] == "Succeeded"
    assert record(api, lost)["adf_finished_at"] is None, "it may not be listed yet"
    api.query("UPDATE app.dataset_approvals SET updated_at = now() - interval '2 days' WHERE approval_id = %s", lost)
    sweep(api)
    found = record(api, lost)
    assert (found["adf_status"], "run-1" in found["adf_error"]) == ("Failed", True)


def test_a_factory_that_does_not_answer_keeps_no_lease_from_being_swept(api: Api, factory: Factory) -> None:
    decide(api, finished(api, "a", access_level="public"), "approve")
    sweep(api)
    before = len(factory.remote.asked)
    next(timer for timer in TIMERS if timer.name == "sweep").run(api.runtime)
    assert len(factory.remote.asked) == before


def test_the_factorys_connections_are_given_back_at_the_end(api: Api, factory: Factory) -> None:
    assert api.get("/api/admin/adf/health")["state"] == "Succeeded"
    adf = api.runtime.factory
    assert adf is not None
    api.runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        adf.state()


def test_a_failed_run_says_why(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public")
    decide(api, approval, "approve")
    sweep(api)
    factory.runs["run-1"] |= {"status": "Failed", "message": "The sink is full."}
    sweep(api)
    found = record(api, approval)
    assert (found["adf_status"], found["adf_error"]) == ("Failed", "The sink is full.")


def test_what_is_revoked_before_its_run_starts_does_not_leave(api: Api, factory: Factory) -> None:
    approval = finished(api, "a", access_level="public")
    decide(api, approval, "approve")
    decide(api, approval, "revoke", {"reason": "wrong"})
    sweep(api)
    assert factory.runs == {}


def test_health_names_the_pipelines_that_are_missing(api: Api, factory: Factory) -> None:
    found = api.get("/api/admin/adf/health")
    assert (found["healthy"], found["state"]) == (False, "Succeeded")
    assert found["pipelines_missing"] == ["Postgresql_internal_to_external"]
    assert api.get("/api/admin/adf/pipelines")["pipelines"] == ["blob_internal_to_external"]
    assert api.of("ada").get("/api/admin/adf/runs/run-7").status_code == 404
    factory.down = True
    assert "503" in api.get("/api/admin/adf/health")["error"]
