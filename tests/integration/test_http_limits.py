"""What a request may be: how often, how large, how deep; and what an answer carries for browsers and never tells."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.requests import HTTPConnection

import config
from composition import Runtime
from config import AppSettings, AuthSettings, DatabaseSettings, ServerSettings
from core.errors import GeomachineError
from core.models.access import ApiKey, Role
from core.once import once
from infrastructure import telemetry
from infrastructure.auth import Credentials, key_text
from infrastructure.auth.keys import KeyRing
from tests.support.api import Api
from tests.support.issuer import AUDIENCE, TENANT, Issuer
from triggers.http.app import create_app
from triggers.http.gate import Gate
from triggers.http.limits import TokenBuckets

KEY = "operator-key-for-this-test-0123456789"


@contextlib.contextmanager
def serving(db: str, home: Path, *, auth: AuthSettings | None = None, **server: object) -> Iterator[TestClient]:
    """The API with these settings of the server, as a browser or a program meets it."""
    settings = replace(
        config.load(),
        app=AppSettings(GEOMACHINE_HOME=home),
        database=DatabaseSettings(DATABASE_URL=SecretStr(db)),
        server=ServerSettings.model_validate({"GEOMACHINE_KEY": KEY, **server}),
        auth=auth or AuthSettings(),
    )
    runtime = Runtime(settings)
    try:
        yield TestClient(create_app(lambda: runtime), raise_server_exceptions=False)
    finally:
        runtime.close()


def test_a_key_that_sends_too_much_is_told_when_to_come_again(db: str, tmp_path: Path) -> None:
    with serving(db, tmp_path, RATE_LIMIT_PER_SECOND=0.01, RATE_LIMIT_BURST=3) as client:
        keys = []
        for name in ("a", "b"):
            body = {"client_id": name, "roles": ["partner"]}
            keys.append(client.post("/api/admin/keys", json=body, headers={"X-API-Key": KEY}).json()["secret_key"])
        path = "/api/platform/status"
        statuses = [client.get(path, headers={"X-API-Key": keys[0]}).status_code for _ in range(3)]
        refused = client.get(path, headers={"X-API-Key": keys[0]})
        assert (statuses, refused.status_code, refused.json()["code"]) == ([200] * 3, 429, "RATE_LIMITED")
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert client.get(path, headers={"X-API-Key": keys[1]}).status_code == 200, "another key has its own bucket"
        assert client.get(path, headers={"X-API-Key": KEY}).status_code == 200, "nor is the operator's limited"


def test_who_tries_keys_out_is_slowed_down(db: str, tmp_path: Path) -> None:
    with serving(db, tmp_path, RATE_LIMIT_PUBLIC_PER_SECOND=0.01, RATE_LIMIT_PUBLIC_BURST=2) as client:
        tried = [client.get("/api/jobs", headers={"X-API-Key": f"guess-{n}"}).status_code for n in range(4)]
        assert tried == [401, 401, 429, 429]
        assert client.get("/api/jobs", headers={"X-API-Key": KEY}).status_code == 200


class Shelf:
    """Keeps one key and counts how often it is asked."""

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self.asked = 0

    def find(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        return self.key if key_id == self.key.key_id else None

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Remember nothing."""


def test_whoever_tries_keys_out_too_fast_does_not_have_them_looked_up(db: str, tmp_path: Path) -> None:
    good, new = (key_text.make() for _ in range(2))
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    key = ApiKey(
        key_id=good.key_id,
        client_id="acme",
        name="acme",
        roles=[Role.PARTNER],
        digest=good.digest,
        created_by="ada",
        created_at=moment,
    )
    shelf = Shelf(key)
    limits = ServerSettings.model_validate({"RATE_LIMIT_PUBLIC_PER_SECOND": 0.01, "RATE_LIMIT_PUBLIC_BURST": 2})
    gate = Gate(limits, Credentials(AuthSettings(), KeyRing({}, shelf)))

    def come(given: object) -> str:
        headers = [(b"x-api-key", str(given).encode())]
        try:
            found = gate.admit(HTTPConnection({"type": "http", "client": ("192.0.2.1", 5), "headers": headers}))
        except GeomachineError as e:
            return e.code
        return found.client_id if found else "public"

    assert come(good) == "acme"
    tried = [come(key_text.make()) for _ in range(5)]
    assert tried == ["UNAUTHENTICATED"] * 2 + ["RATE_LIMITED"] * 3
    assert shelf.asked == 3
    assert (come(good), come(new)) == ("acme", "RATE_LIMITED"), "a key that worked goes on working from there"


def test_requests_that_come_first_together_are_counted_in_the_same_buckets(db: str, tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=1)

    class Meeting(Runtime):
        @once
        def key_ring(self) -> KeyRing:
            with contextlib.suppress(threading.BrokenBarrierError):  # the other one waits for us to finish
                meeting.wait()
            return KeyRing({})

    settings = replace(
        config.load(),
        app=AppSettings(GEOMACHINE_HOME=tmp_path),
        database=DatabaseSettings(DATABASE_URL=SecretStr(db)),
        server=ServerSettings.model_validate({"RATE_LIMIT_PUBLIC_PER_SECOND": 0.01, "RATE_LIMIT_PUBLIC_BURST": 1}),
    )
    runtime = Meeting(settings)
    client = TestClient(create_app(lambda: runtime))
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(client.get, "/api/jobs", headers={"X-API-Key": "guess"}) for _ in range(2)]
        assert sorted(answer.result().status_code for answer in answers) == [401, 429]
    runtime.close()


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    now = [0.0]
    buckets = TokenBuckets(2.0, 4, clock=lambda: now[0])

    def taken() -> int:
        count = 0
        with contextlib.suppress(Exception):
            while count < 100:
                buckets.take("x")
                count += 1
        return count

    assert taken() == 4
    now[0] = 1.0
    assert taken() == 2
    now[0] = 1000.0
    assert taken() == 4


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6", "192.0.2.1"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7:4711, 10.0.0.1", "198.51.100.7"),
        (1, "[2001:db8::1]:99", "2001:db8::1"),
        (2, "198.51.100.7", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "6.6.6.6\n198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6\n198.51.100.7\n10.0.0.1", "198.51.100.7"),
    ],
)
def test_a_callers_address_is_what_the_outermost_trusted_proxy_saw(proxies: int, forwarded: str, address: str) -> None:
    gate = Gate(
        ServerSettings.model_validate({"HTTP_TRUSTED_PROXIES": proxies}), Credentials(AuthSettings(), KeyRing({}))
    )
    scope = {
        "type": "http",
        "client": ("192.0.2.1", 5),
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded.split("\n")],
        "path": "/",
    }
    assert gate.address(HTTPConnection(scope)) == address


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[" * 70 + "]" * 70, "64 levels"),
        ("[" * 100_000, "64 levels"),
        ('{"a":' * 70 + "1" + "}" * 70, "64 levels"),
        ('{"n": "a\\u0000b"}', "NUL"),
        ('{"a\\u0000b": 1}', "NUL"),
        ('{"n": "\\ud800"}', "surrogate"),
        ('{"n": NaN}', "NaN"),
        ('{"n": -Infinity}', "-Infinity"),
        ('{"n": 1e999}', "infinite"),
    ],
)
def test_a_body_that_nothing_could_hold_is_refused_at_the_door(api: Api, body: str, words: str) -> None:
    for path in ("/api/platform/submit", "/api/jobs/submit/hello_world"):
        answer = api.of("ada").post(path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), answer.text
        assert words in answer.json()["error"]


def test_a_body_as_deep_as_allowed_arrives_whole(api: Api) -> None:
    deep: object = 1
    for _ in range(60):
        deep = [deep]
    answer = api.of("ada").post("/api/jobs/submit/probe_light", json={"name": "\u2603 \U0001f600", "n": deep})
    assert "n: " in answer.json()["error"], "it is the field that is refused, not the body"
    fine = api.of("ada").post("/api/jobs/submit/probe_light", json={"name": "\u2603 \U0001f600"})
    assert fine.json()["parameters"]["name"] == "\u2603 \U0001f600"


def test_nul_in_a_query_or_path_is_refused(api: Api) -> None:
    assert api.of("ada").get("/api/jobs?job_type=a%00b").status_code == 400
    assert api.of("ada").get("/api/jobs/status/a%00b").status_code == 404


def test_a_body_above_the_limit_is_refused_whatever_it_says_of_its_length(db: str, tmp_path: Path) -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(24):
            yield b" " * (1 << 16)

    with serving(db, tmp_path, HTTP_MAX_BODY_MB=1) as client:
        headers = {"X-API-Key": KEY, "content-type": "application/json"}
        for content in (b" " * (1 << 20) + b"1", drops()):
            answer = client.post("/api/platform/submit", content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_every_answer_carries_the_headers_that_browsers_need(api: Api) -> None:
    client = api.of("ada")
    for path, status in (("/api/livez", 200), ("/api/jobs", 200), ("/api/nothing", 404), ("/api/jobs?limit=x", 400)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    secure = client.get("https://testserver/api/livez")
    assert secure.headers["strict-transport-security"].startswith("max-age=")
    page = client.get("/api/interface/swagger")
    assert "script-src 'self'" in page.headers["content-security-policy"], "a page keeps its own policy"


def test_a_request_id_that_could_forge_a_log_line_is_cleaned(api: Api) -> None:
    answer = api.of("ada").get("/api/livez", headers={"X-Request-ID": 'a"b {c}\t<d>' + "e" * 90})
    assert answer.headers["x-request-id"] == ("abcd" + "e" * 90)[:64]


def test_no_origin_may_call_from_a_browser_unless_the_settings_name_it(db: str, tmp_path: Path) -> None:
    asks = {"Origin": "https://maps.example.org", "Access-Control-Request-Method": "POST"}
    asks |= {"Access-Control-Request-Headers": "x-api-key,content-type"}
    with serving(db, tmp_path) as client:
        assert "access-control-allow-origin" not in client.get("/api/livez", headers=asks).headers
        assert client.options("/api/platform/submit", headers=asks).status_code == 405
    with serving(db, tmp_path, HTTP_CORS_ORIGINS="https://maps.example.org, https://b.example") as client:
        for answer in (client.get("/api/livez", headers=asks), client.options("/api/platform/submit", headers=asks)):
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == "https://maps.example.org"
            assert "access-control-allow-credentials" not in answer.headers
        refused = client.get("/api/jobs", headers=asks)
        assert refused.headers["access-control-allow-origin"] == "https://maps.example.org", "errors can be read too"
        foreign = client.options("/api/platform/submit", headers={**asks, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the program's own logging writes while the test runs."""
    before = structlog.get_config()
    handlers, level = logging.root.handlers[:], logging.root.level
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        telemetry.configure("DEBUG")
        yield written
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_no_secret_is_in_a_log_an_error_or_a_row(db: str, tmp_path: Path, logged: io.StringIO) -> None:
    with Issuer() as issuer:
        auth = AuthSettings.model_validate(
            {"ENTRA_TENANT_ID": TENANT, "ENTRA_AUDIENCE": AUDIENCE, "ENTRA_AUTHORITY": issuer.url}
        )
        with serving(db, tmp_path, auth=auth) as client:
            admin = {"X-API-Key": KEY}
            made = client.post("/api/admin/keys", json={"client_id": "a", "roles": ["partner"]}, headers=admin).json()
            again = client.post(f"/api/admin/keys/{made['key']['key_id']}/rotate", headers=admin).json()
            tokens = [issuer.token(), issuer.token(aud="x"), issuer.token(exp=5), issuer.token(roles=["admin"])]
            secrets = [KEY, made["secret_key"], again["secret_key"], *tokens]
            answers = []
            for secret in secrets:
                for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
                    for path in ("/api/jobs?limit=x", "/api/admin/keys", "/api/admin/audit", "/api/platform/status/x"):
                        answers.append(client.get(path, headers=headers).text)
                    client.post("/api/platform/submit", json={"dataset_id": 1}, headers=headers)
            client.delete(f"/api/admin/keys/{again['key']['key_id']}", headers=admin)
    structlog.get_logger().info("still_logging")
    told = logged.getvalue() + "".join(answers) + _everything(db)
    assert "still_logging" in told
    assert [n for n, secret in enumerate(secrets) if secret in told or secret.rpartition("_")[2] in told] == []


def _everything(db: str) -> str:
    import psycopg

    with psycopg.connect(db) as conn:
        tables = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'app'"
        ).fetchall()
        found = [str(conn.execute(f"SELECT * FROM {table}").fetchall()) for (table,) in tables]  # type: ignore[arg-type]
    return json.dumps(found)
