import json
from pathlib import Path

import pytest

from triggers.http.app import create_app
from triggers.http.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "openapi" / "platform-api-v1.json"


def no_runtime() -> None:
    raise AssertionError("describing the API needs no running system")


@pytest.fixture(scope="module")
def described() -> dict:
    return create_app(no_runtime).openapi()  # type: ignore[arg-type]  # never called


def operations(described: dict) -> list[tuple[str, dict]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in described["paths"].items()
        for method, operation in item.items()
    ]


def test_the_committed_description_is_what_the_code_says(described: dict) -> None:
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(described)), "run scripts/openapi and commit the result"


def test_the_committed_description_is_written_in_one_way() -> None:
    text = COMMITTED.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_routes_partners_rely_on_are_described(described: dict) -> None:
    named = {name for name, _ in operations(described)}
    assert named >= {
        "POST /api/platform/submit",
        "GET /api/platform/status/{id}",
        "POST /api/jobs/submit/{job_type}",
        "GET /api/jobs/status/{job_id}",
        "GET /api/jobs/{job_id}/events",
        "GET /api/jobs/{job_id}/events/latest",
        "GET /api/jobs/{job_id}/events/summary",
        "GET /api/jobs/{job_id}/events/failure",
        "POST /api/jobs/{job_id}/resubmit",
        "DELETE /api/jobs/{job_id}",
        "GET /api/approvals",
        "GET /api/approvals/{approval_id}",
        "POST /api/approvals/{approval_id}/approve",
        "POST /api/approvals/{approval_id}/reject",
        "GET /api/health",
        "GET /api/livez",
        "GET /api/readyz",
    }


def test_every_operation_says_what_it_does(described: dict) -> None:
    silent = [name for name, operation in operations(described) if not operation.get("description")]
    assert silent == []


def test_every_operation_is_tagged_by_audience_and_wants_a_credential_unless_it_is_public(described: dict) -> None:
    known = [tag["name"] for tag in described["tags"]]
    assert known == ["public", "partner", "reviewer", "admin"]
    for name, operation in operations(described):
        audience = operation["tags"][0]
        assert audience in known, name
        assert bool(operation.get("security")) == (audience != "public"), name
        assert bool(operation.get("x-roles")) == (audience != "public"), name
    assert set(described["components"]["securitySchemes"]) == {"APIKeyHeader", "EntraID"}
    public = {name for name, operation in operations(described) if operation["tags"][0] == "public"}
    styles = "GET /api/features/collections/{collection_id}/styles"
    probes = {"GET /api/livez", "GET /api/readyz"}
    assert public == {*probes, "GET /api/errors", "GET /api/errors/{code}", styles, styles + "/{style_id}"}


def test_every_operation_describes_its_errors_in_the_one_shape(described: dict) -> None:
    assert "422" not in {status for _, operation in operations(described) for status in operation["responses"]}
    shapes = {
        json.dumps(operation["responses"]["default"]["content"]["application/json"]["schema"])
        for _, operation in operations(described)
    }
    assert shapes == {'{"$ref": "#/components/schemas/ErrorBody"}'}


def test_every_body_has_an_example(described: dict) -> None:
    bare = [
        name
        for name, operation in operations(described)
        if "requestBody" in operation and "examples" not in operation["requestBody"]["content"]["application/json"]
    ]
    assert bare == [], "add one to triggers/http/examples.py"
    assert EXAMPLES.keys() <= {name for name, _ in operations(described)}


def test_no_schema_is_described_that_nothing_uses(described: dict) -> None:
    text = json.dumps(described)
    unused = [name for name in described["components"]["schemas"] if f'"#/components/schemas/{name}"' not in text]
    assert unused == []


def test_operation_ids_are_distinct(described: dict) -> None:
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(ids) == len(set(ids))
