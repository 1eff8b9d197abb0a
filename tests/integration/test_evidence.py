"""What a reviewer is shown: both revisions compared, and checks made at the moment he looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.contracts.storage import BlobName
from tests.integration.test_revisions import decide, load, put_points, put_raster, submit
from tests.support.api import Api


def evidence(api: Api, approval: str) -> dict:
    (item,) = api.get(f"/api/approvals/{approval}/evidence", "rita")["items"]
    return item


def checks(item: dict) -> dict[str, bool | None]:
    return {c["name"]: c["valid"] for c in item["checks"]}


def test_a_first_revision_is_shown_with_lineage_links_and_checks(api: Api) -> None:
    approval = load(api, "old")
    item = evidence(api, approval)
    assert (item["draft"], item["differences"], item["state"]) == (False, None, "open")
    assert item["metadata"]["table"]["feature_count"] == 1
    etag = api.runtime.storage.head(BlobName("bronze-vectors", "towns.geojson")).etag
    assert (
        item["lineage"].items()
        >= {
            "source": "bronze-vectors/towns.geojson",
            "source_etag": etag,
            "revision": 1,
            "submitted_by": "ann",
        }.items()
    )
    assert item["links"]["ogc_features"]["items"].endswith("/geo.towns_r_v1/items")
    assert checks(item) == {"stac": True, "source": True}


def test_a_revision_of_published_data_says_what_would_change(api: Api) -> None:
    decide(api, load(api, "old"))
    item = evidence(api, load(api, "new", "newer", overwrite=True))
    assert item["draft"] is True
    assert item["differences"]["rows"] == {"feature_count": {"from": 1, "to": 2}}
    assert item["differences"]["extent"]["bbox"]["from"] == [30, -2, 30, -2]
    assert item["differences"]["extent"]["bbox"]["to"] == [30, -2, 31, -2]


def test_changed_columns_are_named(api: Api) -> None:
    decide(api, load(api, "old"))
    text = (
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"inhabitants": 7},'
        ' "geometry": {"type": "Point", "coordinates": [30, -2]}}]}'
    )
    api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", "towns.geojson"))
    status = submit(api, "bronze-vectors", "towns.geojson", overwrite=True)
    schema = evidence(api, status["approval"]["approval_id"])["differences"]["schema"]
    assert schema == {"added": ["inhabitants"], "removed": ["name"]}


def test_a_raster_s_pixels_and_statistics_are_compared_and_its_file_validated(api: Api, tmp_path: Path) -> None:
    put_raster(api, tmp_path, 1)
    decide(api, submit(api, "bronze-rasters", "r.tif")["approval"]["approval_id"])
    put_raster(api, tmp_path, 2)
    item = evidence(api, submit(api, "bronze-rasters", "r.tif", overwrite=True)["approval"]["approval_id"])
    assert checks(item) == {"stac": True, "source": True, "cog": True}
    assert item["metadata"]["raster"]["width"] == np.full((64, 64), 2).shape[1]
    band = item["differences"]["statistics"]["1"]
    assert band["mean"] == {"from": 1.0, "to": 2.0}
    assert list(item["assets"]) and all("/api/assets/silver-cogs/" in url for url in item["assets"].values())


def test_a_source_that_was_replaced_since_is_told(api: Api) -> None:
    approval = load(api, "old")
    put_points(api, "other", "bytes")
    item = evidence(api, approval)
    (source,) = [c for c in item["checks"] if c["name"] == "source"]
    assert (source["valid"], "other bytes" in source["problems"][0]) == (False, True)
    assert api.of("ann").get(f"/api/approvals/{approval}/evidence").status_code == 403
