"""Which countries does an item lie in? Asked of a table of countries that was loaded and approved, as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from affine import Affine

from tests.support.published import Platform, platform
from tests.support.raster import write_tiff

LAKE = (29.2, -1.7, 29.4, -1.5)  #: across the border of Rwanda and the Congo at Goma


@pytest.fixture
def geo(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


def raster(folder: Path, bounds: tuple[float, float, float, float]) -> Path:
    west, south, east, north = bounds
    place = Affine((east - west) / 20, 0, west, 0, (south - north) / 20, north)
    pixels = np.random.default_rng(4).random((20, 20)).astype(np.float32)
    return write_tiff(folder / f"at{west}.tif", pixels, crs="EPSG:4326", transform=place)


def countries(item: dict) -> dict:
    return {name: value for name, value in item["properties"].items() if name.startswith("geo:")}


def load(geo: Platform, path: Path, table: str, *, approve: bool = True) -> None:
    """Through the vector pipeline, as curated data comes."""
    for part in path.parent.glob(f"{path.stem}.*"):
        blob = geo.upload(part, container="bronze-vectors")
    parameters = {
        "container_name": "bronze-vectors", "blob_name": path.name, "file_extension": path.suffix.lstrip("."),
        "table_name": table, "access_level": "public",
    }  # fmt: skip
    assert blob
    answer = geo.api.of("ada").post("/api/jobs/submit/process_vector", json=parameters)
    assert answer.status_code == 202, answer.text
    while geo.api.drain():
        pass
    status = geo.api.get(f"/api/jobs/status/{answer.json()['job_id']}")
    assert status["status"] == "completed", status
    if approve:
        [(approval,)] = geo.api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
        assert geo.api.of("rex").post(f"/api/approvals/{approval}/approve", json={}).status_code == 200


def square(west: float, **properties: object) -> dict:
    ring = [[west, -10], [west + 10, -10], [west + 10, 10], [west, 10], [west, -10]]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def test_without_a_table_of_countries_an_item_says_nothing_of_them(geo: Platform, tmp_path: Path):
    assert countries(geo.publish(raster(tmp_path, LAKE))) == {}


def test_countries_come_from_whatever_columns_hold_their_codes_and_names(geo: Platform, tmp_path: Path):
    features = [
        square(0, ISO3="AAA", NAME="Aland", note="first"),
        square(10, ISO3="-99", ADM0_A3="BBB", NAME="Beland"),
        square(20, ISO3="CCC", NAME="Celand"),
    ]
    (tmp_path / "world.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    load(geo, tmp_path / "world.geojson", "curated_admin0", approve=False)
    item = geo.publish(raster(tmp_path, (8, 0, 14, 4)))
    assert countries(item) == {}, "nobody has approved the table yet"
    [(approval,)] = geo.api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    assert geo.api.of("rex").post(f"/api/approvals/{approval}/approve", json={}).status_code == 200
    assert countries(geo.publish(raster(tmp_path, (7.5, 0, 13.5, 4)))) == {
        "geo:iso3": ["AAA", "BBB"],
        "geo:countries": ["Aland", "Beland"],
        "geo:primary_iso3": "BBB",
        "geo:attribution_method": "centroid",
    }
    inside = geo.publish(raster(tmp_path, (12, 0, 20, 4)))
    assert countries(inside)["geo:iso3"] == ["BBB"], "a shared border is no shared ground"
    around = geo.publish(raster(tmp_path, (28, -30, 50, 30)))
    assert (countries(around)["geo:primary_iso3"], countries(around)["geo:attribution_method"]) == (
        "CCC",
        "first_intersect",
    )
    assert countries(geo.publish(raster(tmp_path, (-60, 0, -50, 4)))) == {}


@pytest.mark.shared_data
def test_natural_earth_tells_where_the_lake_is(geo: Platform, shared_data: Path, tmp_path: Path):
    load(geo, shared_data / "vector/global/ne_110m_admin_0_countries.shp", "world")
    with psycopg.connect(geo.api.db, autocommit=True) as conn:
        conn.execute(
            "UPDATE geo.table_catalog SET custom_properties = coalesce(custom_properties, '{}')"
            " || '{\"system_role\": \"admin0_boundaries\"}' WHERE table_name = 'world'"
        )
    item = geo.publish(raster(tmp_path, LAKE))
    assert countries(item) == {
        "geo:iso3": ["COD", "RWA"],
        "geo:countries": ["Dem. Rep. Congo", "Rwanda"],
        "geo:primary_iso3": countries(item)["geo:primary_iso3"],
        "geo:attribution_method": "centroid",
    }
    assert countries(geo.publish(raster(tmp_path, (2.2, 48.7, 2.5, 48.9))))["geo:iso3"] == ["FRA"], "-99 in ISO_A3"
