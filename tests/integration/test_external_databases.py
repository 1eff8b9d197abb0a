"""Preparing a database of somebody else: a second one in the tests' cluster, administered by a role of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

from config import ExternalDatabaseSettings
from infrastructure.postgres.schema import pgstac
from tests.support.api import Api

CLIENT = "00000000-0000-0000-0000-000000000000"
ROLES = ("pgstac_admin", "pgstac_ingest", "pgstac_read")


class Outside:
    """An empty database, and the role that shall administer it."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        parts = conninfo_to_dict(conninfo)
        self.host, self.port, self.database = str(parts["host"]), int(parts["port"] or 5432), str(parts["dbname"])
        self.user, self.password = f"umi_{secrets.token_hex(4)}", secrets.token_hex(8)

    def run(self, statement: str) -> list[tuple]:
        """As its owner; `{user}` and `{database}` are names."""
        text = sql.SQL(statement).format(user=sql.Identifier(self.user), database=sql.Identifier(self.database))
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            cursor = conn.execute(text)
            return cursor.fetchall() if cursor.description else []

    def make_ready(self) -> None:
        """Do the six things."""
        self.run("GRANT CREATE ON DATABASE {database} TO {user}")
        self.run("GRANT CREATE ON SCHEMA public TO {user}")
        self.run("CREATE EXTENSION IF NOT EXISTS postgis")
        for role in ROLES:
            self.run(f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
            self.run(f"GRANT {role} TO {{user}} WITH ADMIN OPTION")
        self.run("ALTER ROLE {user} CREATEROLE")


@pytest.fixture
def outside(empty_db: str) -> Iterator[Outside]:
    found = Outside(empty_db)
    found.run(f"CREATE ROLE {{user}} LOGIN PASSWORD '{found.password}'")
    yield found
    found.run("DROP OWNED BY {user} CASCADE")
    found.run("DROP ROLE {user}")


@pytest.fixture
def api(api: Api, outside: Outside) -> Api:
    """The API, which may prepare that database, whose server has no TLS."""
    return allowing(api, outside, EXTERNAL_DB_SSLMODE="disable")


def allowing(api: Api, outside: Outside, **changes: object) -> Api:
    given = {
        "EXTERNAL_DB_ALLOWED_HOSTS": outside.host,
        "EXTERNAL_DB_PORT": outside.port,
        "EXTERNAL_DB_USER": outside.user,
        "EXTERNAL_DB_PASSWORD": outside.password,
        **changes,
    }
    settings = ExternalDatabaseSettings.model_validate(given)
    api.runtime.settings = replace(api.runtime.settings, external_databases=settings)
    api.runtime.__dict__.pop("external_databases", None)
    return api


def target(outside: Outside, **changes: object) -> dict:
    body = {"target_host": outside.host, "target_database": outside.database, "admin_umi_client_id": CLIENT}
    return {**body, **changes}


def standing(api: Api, outside: Outside, **changes: object) -> dict[str, bool | None]:
    found = api.get("/api/admin/external/prereqs", **target(outside, **changes))
    assert found["ready"] is all(each["met"] for each in found["prerequisites"])
    assert [each["number"] for each in found["prerequisites"]] == [1, 2, 3, 4, 5, 6]
    return {each["name"]: each["met"] for each in found["prerequisites"]}


def initialize(api: Api, outside: Outside, **changes: object) -> tuple[int, dict]:
    answer = api.of("ada").post("/api/admin/external/initialize", json=target(outside, **changes))
    return answer.status_code, answer.json()


def unmet(api: Api, outside: Outside) -> list[dict]:
    found = api.get("/api/admin/external/prereqs", **target(outside))["prerequisites"]
    return [each for each in found if not each["met"]]


def obey(outside: Outside, fix: str) -> None:
    """Do what the sentence says: the SQL after its first colon, as the owner."""
    with psycopg.connect(outside.conninfo, autocommit=True) as conn:
        conn.execute(fix.partition(": ")[2])


def test_doing_what_each_sentence_says_makes_a_database_ready(api: Api, outside: Outside) -> None:
    outside.run("DO $$ BEGIN CREATE ROLE pgstac_admin; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    for _ in range(4):
        if lacking := unmet(api, outside):
            obey(outside, lacking[0]["fix"])
    assert unmet(api, outside) == []
    code, done = initialize(api, outside)
    assert (code, done["result"]["steps"] != []) == (200, True), done


@pytest.mark.parametrize(
    ("name", "harm", "says"),
    [
        ("create", "REVOKE CREATE ON DATABASE {database} FROM {user}", None),
        ("create", "REVOKE CREATE ON SCHEMA public FROM {user}", None),
        ("postgis", "DROP EXTENSION postgis CASCADE", None),
        ("admin_option", "REVOKE ADMIN OPTION FOR pgstac_read FROM {user}", "without: pgstac_read"),
        ("admin_option", "ALTER ROLE {user} NOCREATEROLE", "without: CREATEROLE"),
    ],
)
def test_what_is_missing_is_told_alone_and_its_sentence_mends_it(
    api: Api, outside: Outside, name: str, harm: str, says: str | None
) -> None:
    outside.make_ready()
    assert unmet(api, outside) == []
    outside.run(harm)
    [lacking] = unmet(api, outside)
    assert (lacking["name"], lacking["met"], lacking["detail"]) == (name, False, says)
    obey(outside, lacking["fix"])
    assert unmet(api, outside) == []


def test_postgis_where_pgstac_does_not_look_is_missing(api: Api, outside: Outside) -> None:
    outside.make_ready()
    outside.run("DROP EXTENSION postgis CASCADE")
    outside.run("CREATE SCHEMA elsewhere")
    outside.run("CREATE EXTENSION postgis SCHEMA elsewhere")
    assert [each["name"] for each in unmet(api, outside)] == ["postgis"]


def test_a_newer_pgstac_is_left_alone(api: Api, outside: Outside) -> None:
    outside.make_ready()
    assert initialize(api, outside)[0] == 200
    outside.run("INSERT INTO pgstac.migrations (version, datetime) VALUES ('99.0.0', now() + interval '1 s')")
    code, body = initialize(api, outside)
    assert (code, "pgSTAC there is 99.0.0" in body["error"], "Update" in body["hint"]) == (409, True, True)


def test_what_postgresql_refuses_is_told_in_its_words(api: Api, outside: Outside) -> None:
    outside.make_ready()
    outside.run("CREATE SCHEMA pgstac")  # somebody else's
    code, body = initialize(api, outside)
    assert (code, body["code"]) == (500, "CONFIGURATION_ERROR")
    assert "permission denied for schema pgstac" in body["error"]


def test_a_server_that_is_away_and_a_login_that_is_refused_are_told_apart(api: Api, outside: Outside) -> None:
    assert standing(api, outside, target_database="nowhere")["server"] is False
    outside.run("ALTER ROLE {user} NOLOGIN")
    refused = standing(api, outside)
    assert (refused["server"], refused["identity"], refused["create"]) == (True, False, None)


def test_without_a_target_the_six_are_explained(api: Api) -> None:
    found = api.get("/api/admin/external/prereqs")
    assert (found["ready"], len(found["prerequisites"])) == (False, 6)
    assert all(each["met"] is None and each["fix"] for each in found["prerequisites"])


def test_half_a_target_is_refused(api: Api, outside: Outside) -> None:
    for left_out in target(outside):
        given = {name: value for name, value in target(outside).items() if name != left_out}
        answer = api.of("ada").get("/api/admin/external/prereqs", params=given)
        assert (answer.status_code, left_out in answer.json()["error"]) == (400, True)


def test_no_password_goes_to_a_server_without_tls(api: Api, outside: Outside) -> None:
    assert outside.run("SHOW ssl") == [("off",)]
    outside.make_ready()
    allowing(api, outside)
    server = api.get("/api/admin/external/prereqs", **target(outside))["prerequisites"][0]
    assert (server["met"], "TLS" in server["detail"]) == (False, True)
    assert initialize(api, outside)[0] == 409


def test_a_password_needs_a_user() -> None:
    with pytest.raises(ValidationError, match="EXTERNAL_DB_USER"):
        ExternalDatabaseSettings.model_validate({"EXTERNAL_DB_PASSWORD": "x"})


def test_nothing_is_done_while_a_prerequisite_is_not_met(api: Api, outside: Outside) -> None:
    code, body = initialize(api, outside)
    assert (code, body["code"]) == (409, "CONFLICT")
    assert "GRANT CREATE ON DATABASE" in body["hint"]
    assert outside.run("SELECT nspname FROM pg_namespace WHERE nspname IN ('geo', 'pgstac')") == []


def test_a_database_is_prepared_once_and_a_second_time_changes_nothing(api: Api, outside: Outside) -> None:
    outside.make_ready()
    code, planned = initialize(api, outside, dry_run=True)
    assert (code, planned["result"]["ready"]) == (200, True)
    assert outside.run("SELECT nspname FROM pg_namespace WHERE nspname IN ('geo', 'pgstac')") == []
    code, done = initialize(api, outside)
    assert code == 200, done
    assert done["result"]["steps"] == planned["result"]["steps"] != []
    ours = "SELECT schemaname::text, count(*) FROM pg_tables WHERE schemaname IN ('app', 'geo') GROUP BY 1"
    assert outside.run(ours) == [("geo", 2)]
    assert outside.run("SELECT pgstac.get_version()") == [(pgstac.wanted(),)]
    columns = """SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'geo.table_catalog'::regclass AND attnum > 0 AND NOT attisdropped"""
    assert sorted(outside.run(columns)) == sorted(api.query(columns))
    code, again = initialize(api, outside)
    assert (code, again["result"]["steps"]) == (200, [])
    outside.run("ALTER TABLE geo.table_catalog DROP COLUMN license")
    assert initialize(api, outside)[1]["result"]["steps"] == ["column geo.table_catalog.license: missing"]
    deeds = api.query("SELECT object_id FROM app.audit_log WHERE action = 'external.initialize'")
    assert deeds == [(f"{outside.host}/{outside.database}",)] * 3


def test_other_hosts_and_names_that_libpq_would_read_more_out_of_are_refused(api: Api, outside: Outside) -> None:
    code, body = initialize(api, outside, target_host="elsewhere.example")
    assert (code, body["code"]) == (403, "FORBIDDEN")
    for change in (
        {"target_database": "x host=evil.example"},
        {"target_database": "postgresql://evil.example/x"},
        {"target_host": "a,evil.example"},
        {"target_host": "/var/run/postgresql"},
        {"admin_umi_client_id": "x"},
    ):
        assert initialize(api, outside, **change)[0] == 400, change


def test_the_password_is_nowhere(api: Api, outside: Outside, capfd: pytest.CaptureFixture[str]) -> None:
    outside.run("ALTER ROLE {user} NOLOGIN")
    said = [initialize(api, outside), initialize(api, outside, dry_run=True), standing(api, outside)]
    outside.run("ALTER ROLE {user} LOGIN")
    said.append(initialize(api, outside))
    audit = api.query("SELECT to_jsonb(a)::text FROM app.audit_log a")
    captured = capfd.readouterr()
    everything = json.dumps([said, audit], default=str) + captured.out + captured.err
    assert outside.password not in everything
    assert outside.password not in repr(api.runtime.settings)
