"""Jobs that only look at rasters and containers, and the one that catalogues what lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff

PIXELS = np.random.default_rng(9).integers(1, 3000, (300, 400), dtype=np.uint16)


def run(api: Api, job_type: str, **parameters: object) -> dict:
    job = api.submit(job_type, by="ada", **parameters)
    api.drain()
    return api.get(f"/api/jobs/status/{job}")


def put_cog(api: Api, tmp_path: Path, name: str, column: int = 0, container: str = "silver-cogs") -> None:
    plain = write_tiff(tmp_path / "plain.tif", PIXELS, transform=UTM * UTM.translation(column, 0), nodata=0)
    cog = tmp_path / "cog.tif"
    rasterio.shutil.copy(plain, cog, driver="COG", compress="DEFLATE")
    api.runtime.storage.upload(cog, BlobName(container, name))


def test_a_good_raster_is_reported_and_nothing_is_made(api: Api, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", PIXELS, nodata=0)
    api.runtime.storage.upload(path, BlobName("bronze-rasters", "a.tif"))
    status = run(api, "validate_raster_job", container_name="bronze-rasters", blob_name="a.tif")
    report = status["resultData"]
    assert (report["valid"], report["refusal"]) == (True, None)
    assert (report["validation"]["width"], report["validation"]["data_type"]) == (400, "uint16")
    assert list(api.runtime.storage.list("silver-cogs")) == []
    assert api.query("SELECT count(*) FROM pgstac.items") == api.query("SELECT count(*) FROM app.dataset_approvals")


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "UNREADABLE_SOURCE"), (b"II*\0 nothing follows", "UNREADABLE_SOURCE")]
)
def test_what_would_be_refused_is_a_report_and_no_failure(api: Api, data: bytes, code: str) -> None:
    api.runtime.storage.put(data, BlobName("bronze-rasters", "bad.tif"))
    status = run(api, "validate_raster_job", container_name="bronze-rasters", blob_name="bad.tif")
    assert status["status"] == "completed"
    refusal = status["resultData"]["refusal"]
    assert (status["resultData"]["valid"], refusal["code"]) == (False, code) and "bad.tif" in refusal["message"]
    assert api.query("SELECT count(*) FROM app.dead_letters") == [(0,)]


def test_an_inventory_tells_kinds_sizes_sidecars_and_what_is_catalogued(api: Api, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", PIXELS, nodata=0)
    api.runtime.storage.upload(path, BlobName("bronze-rasters", "in/a.tif"))
    for name in ("in/a.tif.aux.xml", "in/b.shp", "in/b.dbf", "in/c.zip", "in/readme.md", "in/what.xyz1", "out/d.csv"):
        api.runtime.storage.put(b"12345", BlobName("bronze-rasters", name))
    report = run(api, "inventory_container_contents", container_name="bronze-rasters", prefix="in/")["resultData"]
    kinds = {file["path"]: (file["kind"], file["belongs_to"]) for file in report["files"]}
    assert kinds == {
        "in/a.tif": ("raster", None),
        "in/a.tif.aux.xml": ("sidecar", "in/a.tif"),
        "in/b.shp": ("vector", None),
        "in/b.dbf": ("sidecar", "in/b.shp"),
        "in/c.zip": ("archive", None),
        "in/readme.md": ("metadata", None),
        "in/what.xyz1": ("other", None),
    }
    assert report["total"]["count"] == 7 and report["by_kind"]["sidecar"] == {"count": 2, "size_mb": 0.0}
    assert report["by_kind"]["raster"]["size_mb"] == round(path.stat().st_size / 1e6, 3)
    assert report["next_start"] is None and report["cataloged"] == 0


def test_an_inventory_goes_on_where_the_page_before_ended(api: Api) -> None:
    for number in range(7):
        api.runtime.storage.put(b"1", BlobName("bronze-misc", f"f{number}.csv"))
    seen, start = [], ""
    for _ in range(3):
        given = {"container_name": "bronze-misc", "limit": 3, "start_after": start}
        report = run(api, "inventory_container_contents", **given)["resultData"]
        seen += [file["path"] for file in report["files"]]
        start = report["next_start"] or ""
    assert seen == [f"f{number}.csv" for number in range(7)] and start == ""


def test_a_container_that_is_not_there_is_told(api: Api) -> None:
    status = run(api, "inventory_container_contents", container_name="bronze-nothing")
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", "NOT_FOUND")


def test_cogs_are_catalogued_where_they_lie_and_only_once(api: Api, tmp_path: Path) -> None:
    put_cog(api, tmp_path, "old/a.tif")
    put_cog(api, tmp_path, "old/b.tif", 400)
    strips = BlobName("silver-cogs", "old/strips.tif")
    api.runtime.storage.upload(write_tiff(tmp_path / "s.tif", np.tile(PIXELS, (3, 2))), strips)
    given = {"container_name": "silver-cogs", "collection_id": "old", "access_level": "ouo", "prefix": "old/"}
    status = run(api, "stac_catalog_container", **given)
    assert status["status"] == "completed_with_errors"
    report = status["resultData"]
    outcome = {file["blob_name"]: (file["status"], file["error_code"]) for file in report["files"]}
    assert outcome == {
        "old/a.tif": ("completed", None),
        "old/b.tif": ("completed", None),
        "old/strips.tif": ("failed", "INVALID_RASTER"),
    }
    items = api.query("SELECT id, content -> 'assets' -> 'data' ->> 'href' FROM pgstac.items ORDER BY id")
    assert [item for item, _ in items] == ["old-old-a", "old-old-b"]
    assert api.runtime.storage.parse_href(items[0][1]) == BlobName("silver-cogs", "old/a.tif")
    [(approval, count)] = api.query("SELECT status::text, item_count FROM app.dataset_approvals")
    assert (approval, count) == ("pending", 2)
    api.runtime.storage.delete(strips)
    again = run(api, "stac_catalog_container", **given, file_limit=10)
    assert again["status"] == "completed"
    assert (again["resultData"]["known"], again["resultData"]["cataloged"], again["resultData"]["stac"]) == (2, 0, None)
    assert api.query("SELECT count(*) FROM pgstac.items") == [(2,)]
    listed = run(api, "inventory_container_contents", container_name="silver-cogs")["resultData"]
    assert {f["path"]: f["cataloged"] for f in listed["files"]}["old/a.tif"] == "old/old-old-a"


def test_files_of_one_slug_are_items_of_their_own_now_and_later(api: Api, tmp_path: Path) -> None:
    given = {"container_name": "silver-cogs", "collection_id": "old", "access_level": "ouo"}
    for places in (("x/a.tif",), ("x-a.tif", "x_a.tif"), ("x/a.TIF",)):
        for place in places:
            put_cog(api, tmp_path, place, 300 + len(place))
        status = run(api, "stac_catalog_container", **given)
        assert (status["status"], status["resultData"]["cataloged"]) == ("completed", len(places))
    rows = api.query("SELECT id, content -> 'assets' -> 'data' ->> 'href' FROM pgstac.items ORDER BY 2")
    stored = {api.runtime.storage.parse_href(href).path for _, href in rows}
    assert stored == {"x/a.tif", "x-a.tif", "x_a.tif", "x/a.TIF"} and len(rows) == 4
    assert "old-x-a" in {item for item, _ in rows}, "it keeps the name it had alone"


def test_a_collection_that_must_exist_is_looked_for_first(api: Api, tmp_path: Path) -> None:
    put_cog(api, tmp_path, "old/a.tif")
    given = {"container_name": "silver-cogs", "collection_id": "nowhere", "access_level": "ouo"}
    status = run(api, "stac_catalog_container", **given, collection_must_exist=True)
    assert status["status"] == "failed"
    assert api.query("SELECT error_code FROM app.tasks") == [("NOT_FOUND",)]
