"""A catalogue with published and unpublished data, and the mounted APIs on it under a small parent app."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import rasterio
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rasterio.transform import from_bounds
from starlette.requests import HTTPConnection

from core.contracts.principals import Principal
from core.contracts.storage import BlobName
from core.models.access import Role
from infrastructure.storage.local import LocalStorage
from triggers.web import docs
from triggers.web.mounts import MountSettings, build_mounts

ROLE = {"x-api-key": "reviewer"}
CALLERS = {
    "reviewer": Principal("reviewer", frozenset({Role.REVIEWER}), "reviewer"),
    "ddh": Principal("ddh", frozenset({Role.PARTNER}), "ddh"),
    "other": Principal("other", frozenset({Role.PARTNER}), "other"),
    "reader": Principal("reader", frozenset({Role.PARTNER}), "reader"),
    "admin": Principal("admin", frozenset({Role.ADMIN}), "admin"),
}
PUBLIC = {"platform:access_level": "public", "platform:client": "ddh"}
CONTAINER = "silver-cogs"
BOUNDS = (10.0, 45.0, 11.0, 46.0)


def identify(request: HTTPConnection) -> Principal | None:
    """Each caller's name is his key."""
    return CALLERS.get(request.headers.get("x-api-key", ""))


@dataclass
class Catalogue:
    """The database and the store, with what a test needs to change in them."""

    db: str
    storage: LocalStorage

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.db, autocommit=True) as connection:
            connection.execute("SET search_path TO pgstac, public")
            connection.execute(statement, values)

    def collection(self, name: str) -> None:
        body = {
            "type": "Collection",
            "id": name,
            "stac_version": "1.1.0",
            "description": f"Items of {name}",
            "license": "proprietary",
            "links": [],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        }
        self.run("SELECT create_collection(%s::jsonb)", json.dumps(body))

    def item(self, collection: str, name: str, *, published: bool, assets: dict | None = None, **properties) -> None:
        west, south, east, north = BOUNDS
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        body = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": name,
            "collection": collection,
            "bbox": list(BOUNDS),
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "links": [],
            "assets": assets or {},
            "properties": {"datetime": "2026-01-01T00:00:00Z", "app:published": published, **PUBLIC, **properties},
        }
        self.run("SELECT upsert_item(%s::jsonb)", json.dumps(body))

    def publish(self, collection: str, name: str, published: bool = True) -> None:
        self.run(
            "UPDATE items SET content = jsonb_set(content, '{properties,app:published}', %s::jsonb)"
            " WHERE collection = %s AND id = %s",
            json.dumps(published),
            collection,
            name,
        )

    def reader(self, dataset: str, client: str) -> None:
        self.run("INSERT INTO app.dataset_readers VALUES (%s, %s, 'rita')", dataset, client)

    def cog(
        self, path: str, *, dtype: str = "uint16", bands: int = 1, crs: str = "EPSG:4326", bounds: tuple = BOUNDS
    ) -> dict:
        """Store a 256x256 COG whose pixels rise from 0 in the first corner, and return its STAC asset."""
        name = BlobName(CONTAINER, path)
        scale = 255 if dtype == "uint8" else 4000
        ramp = np.linspace(0, scale, 256 * 256).reshape(256, 256).astype(dtype)
        pixels = np.stack([ramp if band % 2 == 0 else ramp.T for band in range(bands)])
        with rasterio.MemoryFile() as memory:
            profile = {"driver": "COG", "width": 256, "height": 256, "count": bands, "dtype": dtype}
            with memory.open(**profile, crs=crs, transform=from_bounds(*bounds, 256, 256)) as target:
                target.write(pixels)
            self.storage.put(memory.read(), name)
        statistics = [{"minimum": int(band.min()), "maximum": int(band.max())} for band in pixels]
        return {
            "href": self.storage.href(name),
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            "raster:bands": [{"data_type": dtype, "statistics": band} for band in statistics],
        }

    def cog_row(self, path: str, collection: str, item: str) -> None:
        self.run(
            "INSERT INTO app.cog_metadata (cog_id, container, blob_path, cog_url, width, height, band_count, dtype,"
            " stac_collection_id, stac_item_id, access_level)"
            " VALUES (%s, %s, %s, %s, 256, 256, 1, 'uint16', %s, %s, 'public')",
            f"cog-{item}",
            CONTAINER,
            path,
            f"/vsi/{path}",
            collection,
            item,
        )

    def table(self, name: str, *, published: bool, rows: int = 3, **properties: object) -> None:
        self.run(
            psycopg.sql.SQL(
                "CREATE TABLE geo.{} (id bigint PRIMARY KEY, geom geometry(Point, 4326), name text, size integer)"
            )
            .format(psycopg.sql.Identifier(name))
            .as_string()
        )
        self.run(
            psycopg.sql.SQL(
                "INSERT INTO geo.{} SELECT n, ST_SetSRID(ST_MakePoint(10 + n * 0.1, 45), 4326), 'place ' || n, n * 10"
                " FROM generate_series(1, %s) AS n"
            )
            .format(psycopg.sql.Identifier(name))
            .as_string(),
            rows,
        )
        self.run(
            "INSERT INTO geo.table_catalog (table_name, title, published, published_at, stac_collection_id,"
            " stac_item_id) VALUES (%s, %s, %s, CASE WHEN %s THEN now() END, 'tables', %s)",
            name,
            f"Table {name}",
            published,
            published,
            name,
        )
        self.item("tables", name, published=published, **properties)

    def publish_table(self, name: str, published: bool = True) -> None:
        self.run(
            "UPDATE geo.table_catalog SET published = %s, published_at = now(), updated_at = now()"
            " WHERE table_name = %s",
            published,
            name,
        )


def make_catalogue(db: str, folder: Path) -> Catalogue:
    """Two rasters of one collection and one of a hidden one, two tables; one of each published."""
    made = Catalogue(db, LocalStorage(folder / "store"))
    for collection in ("relief", "secret", "tables"):
        made.collection(collection)
    for collection, item, published in (
        ("relief", "relief-open", True),
        ("relief", "relief-draft", False),
        ("secret", "secret-plan", False),
    ):
        path = f"{collection}/{item}.tif"
        made.item(collection, item, published=published, assets={"data": made.cog(path)}, note=f"note of {item}")
        made.cog_row(path, collection, item)
    made.table("roads_open", published=True)
    made.table("roads_draft", published=False)
    return made


@contextmanager
def serving(catalogue: Catalogue, *, raise_errors: bool = True, **changes) -> Iterator[TestClient]:
    """A client of the mounted APIs. `ROLE` headers make a caller one who may see all."""
    settings = MountSettings(
        conninfo=catalogue.db,
        storage=catalogue.storage,
        identify=identify,
        **changes,
    )
    mounts = build_mounts(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with AsyncExitStack() as stack:
            for mount in mounts:
                await stack.enter_async_context(mount.lifespan())
            yield

    app = FastAPI(lifespan=lifespan, openapi_url="/api/openapi.json")
    app.include_router(docs.router())
    for mount in mounts:
        app.mount(mount.prefix, mount.app)
    with TestClient(app, base_url="http://geo.example", raise_server_exceptions=raise_errors) as client:
        yield client


def eventually(check, seconds: float = 5.0) -> None:
    """Wait until the check holds, or fail as it does."""
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        time.sleep(0.05)
    assert check()
