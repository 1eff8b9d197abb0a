"""Every block marked `sh` of a how-to page runs, as written, against a real system; blocks of a page share a shell."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import psycopg
import pytest
import rasterio
from psycopg.conninfo import conninfo_to_dict
from rasterio.transform import from_origin

from tests.support import system

ROOT = system.ROOT
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
#: Pages that bring their own system up and take it down.
OWN_SYSTEM = {"operate-the-local-system"}
#: Pages that prepare somebody else's database.
OTHERS_DATABASE = {"prepare-a-database-of-others"}
#: What a page's commands must have shown, besides ending well.
SHOWN = {
    "administer-the-database": ('"drifted":false', '"executed":true', '"jobs_to_archive":0'),
    "approve-and-publish": ('"app:published":true', "is approved and published", "is rejected"),
    "find-out-why-a-job-failed": (
        "INJECTED_FAILURE",
        "Last that went well",
        "run 3: completed 100%",
        "is discarded",
        '"job_deleted":true',
    ),
    "heal-the-catalogue": (
        "Nothing disagrees",
        "changed_blob",
        "1 mended, 0 not",
        "Repair 1 is undone",
        "missing_blob",
    ),
    "keep-reference-data-current": ('"system_role":"admin0_boundaries"', '"no_update_needed"', "Beland"),
    "operate-the-local-system": ("Up at http://", "Nothing was running", "The database is as the models declare it"),
    "prepare-a-database-of-others": (
        '"ready":true',
        '"steps":["pgSTAC',
        '"dry_run":false,"ready":true',
        '"steps":[]',
    ),
    "respond-to-alerts": ('"components"', '"vitals"', '"findings":[]', '"total_failures":0', "healthy in"),
    "style-a-table": ('"stylingRules"', '"circle-color":"#e31a1c"'),
    "watch-services-of-others": (
        '"service_type":"stac_api"',
        '"by_type":{"stac_api":1}',
        '"health_history":[{',
        '"status":"maintenance"',
        '"enabled":false',
    ),
    "watch-the-system": ('"pgstac"', '"created":true', '"working":true', "geomachine_jobs_stranded"),
    "unpublish-a-table": ('"removed":false', '"removed":true'),
    "update-a-table": ('"numberMatched":3', "South pier"),
    "submit-a-raster-or-vector": ('"success":true', '"data_access"', "/collections/geo.gazetteer_places_v2"),
}


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


EXECUTED = [page for page in PAGES if blocks(page, "sh")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a `./geomachine` that runs this interpreter, and the raster that the pages speak of."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    launcher = folder / "geomachine"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m triggers.cli "$@"\n')
    launcher.chmod(0o755)
    heights = numpy.add.outer(numpy.arange(96), numpy.arange(128)).astype("float32") * 3.5
    profile = {"driver": "GTiff", "width": 128, "height": 96, "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(
        folder / "elevation.tif", "w", transform=from_origin(500_000, 5_300_000, 30, 30), nodata=-9999, **profile
    ) as raster:
        raster.write(heights, 1)
    return folder


@pytest.fixture
def running(db: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment of a page's shell: of a running system, or of one that the page starts itself."""
    home = tmp_path / "home"
    if request.param in OWN_SYSTEM:
        yield system.environment(db, home, GEOMACHINE_PORT=str(system.free_port()))
        return
    more = others_database(request.getfixturevalue("empty_db")) if request.param in OTHERS_DATABASE else {}
    with system.service(db, home, **more) as started:
        yield system.environment(db, home, GEOMACHINE_URL=started.base_url, **more)


def others_database(conninfo: str) -> dict[str, str]:
    """A database that its administrators have got ready, as settings and as the names that a page uses."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION postgis")
        for role in ("pgstac_admin", "pgstac_ingest", "pgstac_read"):
            conn.execute(f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    return {
        "TARGET_HOST": parts["host"],
        "TARGET_DATABASE": parts["dbname"],
        "EXTERNAL_DB_ALLOWED_HOSTS": parts["host"],
        "EXTERNAL_DB_PORT": parts["port"],
        "EXTERNAL_DB_USER": parts["user"],
        "EXTERNAL_DB_PASSWORD": parts["password"],
        "EXTERNAL_DB_SSLMODE": "disable",
    }


@pytest.mark.parametrize(
    ("page", "running"), [(p, p.stem) for p in EXECUTED], ids=[p.stem for p in EXECUTED], indirect=["running"]
)
def test_the_commands_of_a_page_run_as_written(page: Path, running: dict[str, str], checkout: Path) -> None:
    if any("curl " in body for body in blocks(page, "sh")) and shutil.which("curl") is None:
        pytest.skip("curl is not installed, and this page shows how to use it")
    script = "\n".join(f"echo '--- block {n}' >&2\n{body}" for n, body in enumerate(blocks(page, "sh"), 1))
    try:
        done = subprocess.run(
            ["sh", "-eu", "-c", script], env=running, cwd=checkout, capture_output=True, text=True, timeout=120
        )
    finally:
        if page.stem in OWN_SYSTEM:
            subprocess.run(["./geomachine", "down"], env=running, cwd=checkout, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert [words for words in SHOWN.get(page.stem, ()) if words not in done.stdout] == [], done.stdout


def test_the_pages_that_newcomers_follow_are_executed() -> None:
    assert {p.stem for p in EXECUTED} >= {
        "submit-a-raster-or-vector",
        "approve-and-publish",
        "find-out-why-a-job-failed",
        "operate-the-local-system",
    }


def test_the_queries_of_the_reference_run(db: str) -> None:
    [body] = blocks(ROOT / "docs" / "reference" / "tables.md", "sql")
    statements = [statement for statement in body.split(";") if statement.strip()]
    with psycopg.connect(db) as conn:
        shown = [[column.name for column in conn.execute(statement).description or ()] for statement in statements]
    assert [columns[0] for columns in shown] == ["queue", "created_at", "fingerprint", "job_key"]


RUN = """
import json, sys
from psycopg_pool import ConnectionPool
from core.contracts.words import WORDS_COUNT, WORDS_SPLIT
from core.machine.machine import CoreMachine
from core.machine.registry import Registry
from infrastructure.postgres.job_reader import JobReader
from infrastructure.postgres.job_store import PostgresJobStore
from jobs import count_words
import structlog
with ConnectionPool(sys.argv[1], kwargs={"autocommit": True}, min_size=1, open=True) as pool:
    registry = Registry({count_words.JOB.name: count_words.JOB}, {HANDLERS})
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    machine = CoreMachine(registry, PostgresJobStore(pool), lambda: None, worker="tutorial", log=log)
    made = machine.submit("count_words", {"text": "one two\\n\\nthree"})
    machine.drain(["vector-tasks", "geospatial-jobs"], 30)
    print(json.dumps(JobReader(pool).job(made.job_id).result))
"""


def test_the_tutorial_job_counts_words(db: str, tmp_path: Path) -> None:
    snippets = blocks(ROOT / "docs" / "how-to" / "add-a-job-type.md", "python")
    for folder in ("config", "core", "infrastructure", "jobs", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = {m[1]: body for body in snippets if (m := re.match(r"# (\S+\.py)\n", body))}
    assert set(files) == {"core/contracts/words.py", "services/words.py", "jobs/count_words.py"}
    for path, body in files.items():
        (tmp_path / path).write_text(body)
    [registered] = [body for body in snippets if body not in files.values()]
    env = system.environment(db, tmp_path / "home") | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN.replace("{HANDLERS}", "{" + registered + "}"), db],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["lines"], result["words"]) == (2, 3)
