"""API keys: made once, found by their id, replaced, withdrawn, and their secrets kept nowhere."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from core.contracts.principals import Principal
from core.errors import Unauthenticated
from core.models.access import Role
from infrastructure.auth.keys import KeyRing
from infrastructure.postgres.api_keys import ApiKeys, NewKey
from infrastructure.postgres.pool import Pool
from tests.support.api import Api

ADA = Principal("ada", frozenset({Role.ADMIN}), "ada")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def make(api: Api, **body: object) -> dict:
    answer = api.of("ada").post("/api/admin/keys", json={"client_id": "acme", "roles": ["partner"], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def keys(pool: Pool) -> ApiKeys:
    return ApiKeys(pool)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(keys: ApiKeys, clock: Clock) -> KeyRing:
    return KeyRing({"operator": ADA}, keys, clock)


def test_a_made_key_opens_what_its_roles_open_and_is_shown_once(api: Api) -> None:
    made = make(api)
    assert api.of(made["secret_key"]).get("/api/platform/status").status_code == 200
    assert api.of(made["secret_key"]).get("/api/admin/keys").status_code == 403
    listed = api.of("ada").get("/api/admin/keys")
    assert made["secret_key"] not in listed.text
    assert listed.json()["keys"][0]["key_id"] == made["secret_key"].split("_")[1]


def test_the_database_keeps_the_sha_256_of_the_secret_and_nothing_else_of_it(api: Api) -> None:
    secret = make(api)["secret_key"].split("_", 2)[2]
    ((row, digest),) = api.query("SELECT k::text, k.digest FROM app.api_keys k")
    assert digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in row
    ((audit,),) = api.query("SELECT string_agg(a::text, '') FROM app.audit_log a")
    assert secret not in audit and digest not in audit


@pytest.mark.parametrize(
    "spoil",
    [lambda k: k[:-1] + ("A" if k[-1] != "A" else "B"), lambda k: k + "x", lambda k: "gmk_" + "0" * 12 + k[16:]],
)
def test_a_key_that_is_almost_right_is_refused(api: Api, spoil) -> None:
    answer = api.of(spoil(make(api)["secret_key"])).get("/api/platform/status")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused_and_revoking_it_again_is_a_conflict(api: Api) -> None:
    made = make(api)
    ada, path = api.of("ada"), f"/api/admin/keys/{made['key']['key_id']}"
    assert api.of(made["secret_key"]).get("/api/platform/status").status_code == 200
    assert ada.delete(path).json()["key"]["active"] is False
    assert api.of(made["secret_key"]).get("/api/platform/status").status_code == 401
    assert ada.delete(path).status_code == 409
    assert ada.delete("/api/admin/keys/000000000000").status_code == 404


def test_a_rotated_key_sees_the_same_jobs_and_the_old_one_stops(api: Api) -> None:
    made = make(api)
    job = api.submit(by="acme", name="x")
    again = api.of("ada").post(f"/api/admin/keys/{made['key']['key_id']}/rotate").json()
    assert again["key"]["replaces"] == made["key"]["key_id"]
    assert api.of(made["secret_key"]).get(f"/api/jobs/status/{job}").status_code == 401
    assert api.of(again["secret_key"]).get(f"/api/jobs/status/{job}").status_code == 200
    stranger = make(api, client_id="other")
    assert api.of(stranger["secret_key"]).get(f"/api/jobs/status/{job}").status_code == 404


def rotate(api: Api, key_id: str, hours: float = 1) -> tuple[int, dict]:
    answer = api.of("ada").post(f"/api/admin/keys/{key_id}/rotate", json={"grace_hours": hours})
    return answer.status_code, answer.json()


def test_a_key_that_has_expired_is_not_rotated_into_one_that_has_too(api: Api) -> None:
    key = make(api, expires_in_days=1)["key"]["key_id"]
    api.query(
        "UPDATE app.api_keys SET created_at = now() - interval '2 days', expires_at = now() - interval '1 second'"
    )
    status, answer = rotate(api, key)
    assert (status, "expired" in answer["error"]) == (409, True)


def test_a_key_has_one_successor_at_a_time(api: Api) -> None:
    key = make(api)["key"]["key_id"]
    status, first = rotate(api, key)
    assert status == 201
    status, answer = rotate(api, key)
    assert (status, first["key"]["key_id"] in answer["error"]) == (409, True)
    assert rotate(api, first["key"]["key_id"])[0] == 201
    assert api.get("/api/admin/keys", client_id="acme")["count"] == 3


def test_key_changes_are_in_the_audit_log(api: Api) -> None:
    made = make(api)
    again = api.of("ada").post(f"/api/admin/keys/{made['key']['key_id']}/rotate", json={"grace_hours": 1}).json()
    api.of("ada").delete(f"/api/admin/keys/{again['key']['key_id']}")
    entries = api.get("/api/admin/audit", object_type="key")["entries"]
    assert [(e["actor"], e["action"]) for e in entries] == [
        ("ada", "key.revoke"),
        ("ada", "key.rotate"),
        ("ada", "key.create"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"roles": []},
        {"roles": ["owner"]},
        {"client_id": ""},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_in_days": 1, "expires_at": "2099-01-01T00:00:00Z"},
        {"colour": "red"},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(api: Api, body: dict) -> None:
    answer = api.of("ada").post("/api/admin/keys", json={"client_id": "acme", "roles": ["partner"], **body})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_an_expired_key_is_refused_and_grace_lets_the_old_one_work_on(
    keys: ApiKeys, ring: KeyRing, clock: Clock
) -> None:
    made = keys.create(NewKey("acme", "acme", [Role.PARTNER], NOON + timedelta(hours=1)), ADA)
    assert ring.identify(str(made.text)).client_id == "acme"
    clock.now += timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        ring.identify(str(made.text))


def test_another_process_honours_a_revoked_key_for_five_seconds_at_most(
    keys: ApiKeys, ring: KeyRing, clock: Clock
) -> None:
    made = keys.create(NewKey("acme", "acme", [Role.PARTNER]), ADA)
    ring.identify(str(made.text))
    keys.revoke(made.key.key_id, ADA)
    clock.now += timedelta(seconds=5)
    with pytest.raises(Unauthenticated):
        ring.identify(str(made.text))


def test_a_keys_use_is_written_once_a_minute_however_often_it_is_used(
    keys: ApiKeys, ring: KeyRing, clock: Clock, pool: Pool
) -> None:
    made = keys.create(NewKey("acme", "acme", [Role.PARTNER]), ADA)

    def version() -> tuple:
        with pool.connection() as conn:
            row = conn.execute("SELECT xmin::text, last_used_at FROM app.api_keys").fetchone()
        assert row is not None
        return row

    for _ in range(3):
        ring.identify(str(made.text))
    first = version()
    assert first[1] == NOON
    clock.now += timedelta(seconds=59)
    ring.identify(str(made.text))
    assert version() == first
    clock.now += timedelta(seconds=1)
    ring.identify(str(made.text))
    assert version()[1] == NOON + timedelta(seconds=60)


def test_a_key_is_found_by_its_primary_key(pool: Pool, keys: ApiKeys) -> None:
    for _ in range(3):
        keys.create(NewKey("acme", "acme", [Role.PARTNER]), ADA)
    with pool.connection() as conn:
        conn.execute("SET enable_seqscan = off")
        plan = conn.execute("EXPLAIN SELECT * FROM app.api_keys WHERE key_id = 'abcdefabcdef'").fetchall()
    assert "pk_api_keys" in plan[0][0]


def test_the_operators_own_key_works_without_a_row_and_is_not_limited(ring: KeyRing) -> None:
    found = ring.identify("operator")
    assert (found.name, found.limited) == ("ada", False)
