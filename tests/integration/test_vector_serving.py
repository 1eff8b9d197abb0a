"""What is served of tables that the pipeline made: what the public sees when, tiles from the view, wrong questions."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from core.contracts.storage import BlobName
from infrastructure.embedded import binaries
from infrastructure.embedded.cluster import Cluster
from services.vector.metadata import VectorMetadata
from tests.support.api import Api
from tests.support.serving import ROLE, Catalogue, serving
from tests.support.system import ROOT
from tests.support.vector import geojson, point
from triggers.web.explicit import take_only_arguments

COLLECTIONS = "/api/features/collections"
TABLE = f"{COLLECTIONS}/geo.wells_r_v1"
TILE = f"{TABLE}/tiles/WebMercatorQuad/0/0/0"
FAMILY = {"success", "error", "error_type", "code", "hint", "request_id"}


@pytest.fixture
def wells(api: Api, tmp_path: Path) -> dict:
    """The status of the request that made a public table with a tile view, not approved yet."""
    path = geojson(tmp_path, (point(1, 2), {"kind": "deep", "n": 1}), (point(3, 4), {"kind": "shallow", "n": 2}))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    body = {"dataset_id": "wells", "resource_id": "r", "version_id": "v1", "access_level": "public"}
    body |= {"container_name": "bronze-vectors", "file_name": path.name}
    body |= {"processing_options": {"create_tile_view": True}}
    request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
    api.drain()
    status = api.get(f"/api/platform/status/{request}")
    assert status["job_status"] == "completed", status["job_error"]
    return status


@contextmanager
def served(api: Api) -> Iterator[TestClient]:
    with serving(Catalogue(api.db, api.runtime.storage)) as client:
        yield client


def approve(api: Api, status: dict) -> None:
    assert api.of("rex").post(f"/api/approvals/{status['approval']['approval_id']}/approve").status_code == 200


def test_the_public_sees_a_table_from_the_transaction_on_that_approves_it(api: Api, wells: dict) -> None:
    with served(api) as client:
        for path in (TABLE, f"{TABLE}/items", TILE):
            assert client.get(path).status_code == 404
            assert client.get(path, headers=ROLE).status_code == 200
        approve(api, wells)
        assert client.get(f"{TABLE}/items").json()["numberMatched"] == 2
        assert [c["id"] for c in client.get(COLLECTIONS).json()["collections"]] == ["wells_r_v1"]


def test_values_that_json_has_no_type_for_are_served_all_the_same(api: Api, tmp_path: Path) -> None:
    path, raw = tmp_path / "types.parquet", bytes(range(256))
    lasting = [timedelta(hours=1, milliseconds=-1), -timedelta(seconds=5), None]
    columns = {"raw": pa.array([raw, b"", None]), "lasting": pa.array(lasting, pa.duration("ms"))}
    pq.write_table(pa.table({**columns, "lat": [1.0, 2.0, 3.0], "lon": [1.0, 2.0, 3.0]}), path)
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    body = {"dataset_id": "types", "resource_id": "r", "version_id": "v1", "access_level": "public"}
    body |= {"container_name": "bronze-vectors", "file_name": path.name}
    request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
    api.drain()
    approve(api, api.get(f"/api/platform/status/{request}"))
    with served(api) as client:
        found = client.get(f"{COLLECTIONS}/geo.types_r_v1/items").json()["features"]
        tile = client.get(f"{COLLECTIONS}/geo.types_r_v1/tiles/WebMercatorQuad/0/0/0")
    by_id = {feature["id"]: feature["properties"] for feature in found}
    assert [by_id[n]["lasting"] for n in (1, 2, 3)] == ["PT3599.999S", "PT-5S", None]
    assert [by_id[n]["raw"] for n in (1, 2, 3)] == [base64.b64encode(raw).decode(), "", None]
    assert tile.status_code == 200 and b"PT-5S" in tile.content


def test_tiles_come_from_the_view_and_items_from_the_table(api: Api, wells: dict) -> None:
    approve(api, wells)
    api.query("DELETE FROM geo.wells_r_v1 WHERE kind = 'deep'")
    with served(api) as client:
        tile = client.get(TILE)
        assert tile.status_code == 200 and b"deep" in tile.content and b"shallow" in tile.content
        assert [f["properties"]["kind"] for f in client.get(f"{TABLE}/items").json()["features"]] == ["shallow"]
        filtered = client.get(TILE, params={"filter": "kind = 'shallow'"})
        assert b"shallow" in filtered.content and b"deep" not in filtered.content


def test_large_geometries_are_cut_into_pieces_for_tiles_only(api: Api, tmp_path: Path) -> None:
    ring = [[x / 100, (x % 2) / 100] for x in range(2000)] + [[20, 1], [0, 1], [0, 0]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    path = geojson(tmp_path, (polygon, {"a": 1}))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    parameters = {"blob_name": path.name, "file_extension": "geojson", "table_name": "coast", "access_level": "public"}
    parameters |= {"create_tile_view": True, "max_tile_vertices": 128}
    assert api.of("ada").post("/api/jobs/submit/process_vector", json=parameters).status_code == 202
    api.drain()
    [(pieces, most)] = api.query("SELECT count(*), max(st_npoints(geom)) FROM geo.coast_tiles")
    assert pieces > 10 and most <= 128
    assert api.query("SELECT indexdef ~ 'gist' FROM pg_indexes WHERE tablename = 'coast_tiles'") == [(True,)]
    areas = "SELECT (SELECT sum(st_area(geom)) FROM geo.coast), (SELECT sum(st_area(geom)) FROM geo.coast_tiles)"
    [(whole, summed)] = api.query(areas)
    assert summed == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "depth > 3"},
        {"filter": "pg_sleep(1) = 1"},
        {"filter": "kind = "},
        {"sortby": "depth"},
        {"bbox": "1,2"},
        {"datetime-column": "kind", "datetime": "2024-01-01T00:00:00Z"},
        {"geom-column": "kind"},
        {"filter": "n = 'many'"},
        {"knid": "deep"},
        {"properties": "kind,depth"},
    ],
)
def test_a_question_that_does_not_fit_the_table_is_told_so(api: Api, wells: dict, query: dict) -> None:
    approve(api, wells)
    with served(api) as client:
        answer = client.get(f"{TABLE}/items", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), answer.text
        assert set(answer.json()) == FAMILY and "select" not in answer.json()["error"].lower()


def test_functions_and_tables_that_are_not_catalogued_do_not_exist(api: Api, wells: dict) -> None:
    api.query("CREATE FUNCTION geo.squares(z int, x int, y int) RETURNS bytea LANGUAGE sql AS $$ SELECT 'x'::bytea $$")
    api.query("CREATE TABLE geo.hidden (id int PRIMARY KEY, geom geometry(Point, 4326))")
    with served(api) as client:
        for name in (
            "geo.squares",
            "geo.hidden",
            "geo.table_catalog",
            "geo.wells_r_v1_tiles",
            "app.jobs",
            "public.st_subdivide",
        ):
            assert client.get(f"{COLLECTIONS}/{name}", headers=ROLE).status_code == 404
        shown = client.get(COLLECTIONS, headers=ROLE).json()["collections"]
        assert [c["id"] for c in shown] == ["wells_r_v1"]


def test_a_replaced_table_is_served_with_its_new_columns_once_they_are_approved(
    api: Api, wells: dict, tmp_path: Path
) -> None:
    approve(api, wells)
    with served(api) as client:
        assert client.get(f"{TABLE}/items").json()["features"][0]["properties"]["kind"] == "deep"
        path = geojson(tmp_path, (point(7, 8), {"other": True}))
        api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
        body = {"dataset_id": "wells", "resource_id": "r", "version_id": "v1", "access_level": "public"}
        body |= {"container_name": "bronze-vectors", "file_name": path.name, "processing_options": {"overwrite": True}}
        request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
        api.drain()
        assert client.get(f"{TABLE}/items").json()["features"][0]["properties"]["kind"] == "deep"
        approve(api, api.get(f"/api/platform/status/{request}"))
        (feature,) = client.get(f"{TABLE}/items").json()["features"]
        assert feature["properties"] == {"id": 1, "other": True} and feature["geometry"]["coordinates"] == [7, 8]
        assert b"other" in client.get(TILE).content
        assert api.query("SELECT tile_view FROM geo.table_catalog") == [(None,)]


@pytest.fixture
def copied(api: Api, wells: dict, cluster: Cluster, empty_db: str) -> str:
    """The address of another database with PostGIS that has a copy of schema geo, and nothing else."""
    approve(api, wells)
    found = binaries.locate(ROOT / ".local/postgresql", print)
    programs = {name: found.bin / name for name in ("pg_dump", "psql")}
    if not all(path.exists() for path in programs.values()):
        pytest.skip("pg_dump and psql are not among the programs of this PostgreSQL")
    with psycopg.connect(empty_db, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION postgis")
    environment = {**os.environ, **found.environment}
    dumped = subprocess.run(
        [programs["pg_dump"], "-n", "geo", "--no-owner", "-d", api.db], env=environment, capture_output=True, check=True
    )
    psql = [programs["psql"], "-v", "ON_ERROR_STOP=1", "-q", "-d", empty_db]
    subprocess.run(psql, env=environment, input=dumped.stdout, capture_output=True, check=True)
    return empty_db


def test_the_schema_alone_can_be_copied_and_served_elsewhere(copied: str) -> None:
    """What is replicated to another database tells nothing of jobs, and needs nothing of them."""
    with psycopg.connect(copied, row_factory=dict_row) as conn:
        known = "SELECT nspname FROM pg_namespace WHERE nspname IN ('app', 'geo', 'pgstac')"
        assert conn.execute(known).fetchall() == [{"nspname": "geo"}]
        row = conn.execute("SELECT * FROM geo.table_catalog").fetchone()
        assert conn.execute("SELECT kind FROM geo.wells_r_v1_tiles ORDER BY 1").fetchall()[0] == {"kind": "deep"}
        assert len(conn.execute("SELECT * FROM geo.feature_collection_styles").fetchall()) == 1
    metadata = VectorMetadata.from_service_catalog(row)
    collection = metadata.to_ogc_collection("https://elsewhere.example/features")
    assert collection["id"] == "wells_r_v1" and collection["extent"]["spatial"]["bbox"] == [[1, 2, 3, 4]]
    told = metadata.to_stac_item()["properties"]
    assert told["platform:access_level"] == "public" and told["app:published"] is True
    assert not [name for name in told if "job" in name or "request" in name or name.startswith("vector:")]
    take_only_arguments()
    from tipg.collections import register_collection_catalog
    from tipg.database import close_db_connection, connect_to_db
    from tipg.factory import Endpoints
    from tipg.settings import DatabaseSettings, PostgresSettings

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        await connect_to_db(app, schemas=["geo"], settings=PostgresSettings(database_url=address(copied)))
        await register_collection_catalog(app, db_settings=DatabaseSettings(schemas=["geo"], functions=["none.none"]))
        yield
        await close_db_connection(app)

    elsewhere = FastAPI(lifespan=lifespan)
    elsewhere.include_router(Endpoints(with_tiles_viewer=False).router)
    with TestClient(elsewhere) as client:
        features = client.get("/collections/geo.wells_r_v1/items").json()["features"]
        assert [(f["properties"]["kind"], f["geometry"]["coordinates"]) for f in features] == [
            ("deep", [1, 2]),
            ("shallow", [3, 4]),
        ]
        tile = client.get("/collections/geo.wells_r_v1_tiles/tiles/WebMercatorQuad/0/0/0")
        assert tile.status_code == 200 and b"shallow" in tile.content


def address(conninfo: str) -> str:
    """The same database as a URL."""
    parts = conninfo_to_dict(conninfo)
    login = f"{quote(str(parts['user']))}:{quote(str(parts.get('password') or ''))}"
    host = str(parts["host"])
    if host.startswith("/"):
        return f"postgresql://{login}@/{parts['dbname']}?host={quote(host, safe='')}&port={parts.get('port', 5432)}"
    return f"postgresql://{login}@{host}:{parts.get('port', 5432)}/{parts['dbname']}"
