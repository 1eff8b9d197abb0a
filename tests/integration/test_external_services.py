"""The registry of external services: recorded answers of real ones, served by a server on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from rio_cogeo import cog_translate
from rio_cogeo.profiles import cog_profiles

from config import ExternalServiceSettings, OutboundSettings
from core.errors import RemoteUnavailable
from infrastructure.external_alerts import Alerts
from tests.support.api import Api
from tests.support.probe import Silent
from tests.support.remote import LOOPBACK, Asked, Remote, Says
from triggers.timers import TIMERS

JSON = {"Content-Type": "application/json"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)

STAC = b"""{"type": "Catalog", "id": "cat", "title": "Scenes", "stac_version": "1.0.0", "description": "d",
 "conformsTo": ["https://api.stacspec.org/v1.0.0/core"], "links": [{"rel": "search", "href": "/search"}]}"""
FEATURES = (
    b"""{"title": "Roads", "links": [{"rel": "conformance", "href": "/conformance"}, {"rel": "data", "href": "/c"}]}"""
)
TILES = b"""{"title": "T", "conformsTo": ["http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core"], "links": []}"""
WMTS = b"""<?xml version="1.0"?><Capabilities xmlns="http://www.opengis.net/wmts/1.0" version="1.0.0"
 xmlns:ows="http://www.opengis.net/ows/1.1"><ows:ServiceIdentification><ows:Title>Base</ows:Title>
 </ows:ServiceIdentification><Contents><Layer><ows:Identifier>ortho</ows:Identifier><Format>image/png</Format></Layer>
 </Contents></Capabilities>"""
TMS = b"""<TileMapService version="1.0.0"><TileMaps><TileMap title="a" href="x"/></TileMaps></TileMapService>"""
IMAGES = (
    b"""{"currentVersion": 10.9, "name": "dem", "pixelSizeX": 30, "bandCount": 1, "capabilities": "Image,Metadata"}"""
)


@pytest.fixture
def api(api: Api) -> Api:
    """The API, which may call this machine and waits a second for it."""
    runtime = api.runtime
    runtime.settings = replace(
        runtime.settings,
        outbound=OutboundSettings(OUTBOUND_ALLOWED_NETWORKS=LOOPBACK),
        external_services=ExternalServiceSettings(SERVICE_CHECK_SECONDS=1.0),
    )
    return api


def register(api: Api, url: str, by: str = "ann", **more: object) -> dict:
    answer = api.of(by).post("/api/jobs/services/register", json={"url": url, "name": "A service", **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["service"]


def check(api: Api, service: Mapping[str, object]) -> dict:
    answer = api.of("ann").post(f"/api/jobs/services/{service['service_id']}/check")
    assert answer.status_code == 200, answer.text
    return answer.json()["service"]


def ogc(asked: Asked, service: str, document: bytes) -> Says:
    """As a real server: capabilities for its own service, an exception report for others."""
    query = {name.lower(): value for name, value in asked.query.items()}
    if query.get("service", "").upper() == service and query.get("request") == "GetCapabilities":
        return Says(document, headers={"Content-Type": "text/xml"})
    return Says(b"<ServiceExceptionReport>No SERVICE</ServiceExceptionReport>", headers={"Content-Type": "text/xml"})


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "path", "expected"),
    [
        ("sampleserver6/CensusMS.json", "/arcgis/rest/services/Census/MapServer", "arcgis_mapserver"),
        ("sampleserver6/911CallsHotspotMS.json", "/arcgis/rest/services/911/MapServer", "arcgis_mapserver"),
        ("Redlands_Emergency_Vehicles/mapServer.json", "/arcgis/rest/services/r/MapServer", "arcgis_mapserver"),
        ("sampleserver6/CommunityAddressingFS.json", "/arcgis/rest/services/c/FeatureServer", "arcgis_featureserver"),
        ("sampleserver6/CommercialDamageAssessmentFS.json", "/x/FeatureServer", "arcgis_featureserver"),
        ("us-mi-kent/us-mi-kent-metadata.json", "/x/MapServer/5", "arcgis_mapserver"),
        ("us-il-cook/metadata.json", "/x/FeatureServer/11", "arcgis_featureserver"),
    ],
)
def test_recorded_arcgis_services_are_recognised(
    api: Api, remote: Remote, shared_data: Path, file: str, path: str, expected: str
) -> None:
    document = (shared_data / "services" / file).read_bytes()
    # Without f=json ArcGIS answers with a page.
    remote.answer = lambda asked: Says(document if asked.query.get("f") == "json" else b"<html></html>", headers=JSON)
    service = register(api, remote.url + path)
    assert (service["service_type"], service["status"]) == (expected, "active")
    assert service["detection_confidence"] == 1.0
    assert check(api, service)["status"] == "active"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "service", "title", "layers"),
    [
        ("WMS/wms_1_1_1.xml", "WMS", None, None),
        ("WMS/wms_esri.xml", "WMS", "WMS", None),
        ("WMS/bad_datetime.xml", "WMS", "wms Server", None),
        ("resources/wms_geoserver-cap.xml", "WMS", "My GeoServer WMS", None),
        ("resources/wms_nationalatlas_getcapabilities_130.xml", "WMS", None, None),
        ("resources/wfs_koeln_arcgis_getcapabilities_200.xml", "WFS", "WFS", 86),
    ],
)
def test_recorded_ogc_services_are_recognised_by_their_capabilities(
    api: Api, remote: Remote, shared_data: Path, file: str, service: str, title: str | None, layers: int | None
) -> None:
    document = (shared_data / "services" / file).read_bytes()
    remote.answer = lambda asked: ogc(asked, service, document)
    found = register(api, remote.url + "/ows")
    assert (found["service_type"], found["status"], found["detection_confidence"]) == (service.lower(), "active", 1.0)
    assert found["detected_capabilities"]["layers"] > 0
    assert title is None or found["metadata"]["title"] == title
    assert layers is None or found["detected_capabilities"]["layers"] == layers


@pytest.mark.parametrize(
    ("path", "document", "expected", "confidence"),
    [
        ("/stac", STAC, "stac_api", 1.0),
        ("/features", FEATURES, "ogc_api_features", 0.8),
        ("/tiles", TILES, "ogc_api_tiles", 1.0),
        ("/wmts", WMTS, "wmts", 1.0),
        ("/tms.xml", TMS, "tms_tiles", 1.0),
        ("/x/ImageServer", IMAGES, "arcgis_imageserver", 1.0),
        ("/tile.json", b'{"tilejson": "3.0.0", "tiles": ["https://a/{z}/{x}/{y}"], "minzoom": 0}', "xyz_tiles", 1.0),
        ("/thing", b'{"hello": "world"}', "generic_rest", 0.3),
    ],
)
def test_what_describes_itself_is_recognised(
    api: Api, remote: Remote, path: str, document: bytes, expected: str, confidence: float
) -> None:
    remote.serves({path: Says(document, headers={"Content-Type": "application/json"})})
    service = register(api, remote.url + path)
    assert (service["service_type"], service["detection_confidence"]) == (expected, confidence)
    assert service["status"] == "active"


def test_tiles_are_recognised_by_one_of_them(api: Api, remote: Remote) -> None:
    remote.serves({"/t/0/0/0.png": Says(PNG, headers={"Content-Type": "image/png"})})
    assert register(api, remote.url + "/t/{z}/{x}/{y}.png")["service_type"] == "xyz_tiles"
    assert register(api, remote.url + "/t/{z}/{x}/{-y}.png")["service_type"] == "tms_tiles"
    assert register(api, remote.url + "/other/{z}/{x}/{y}.png")["service_type"] == "unknown"


def test_a_cog_is_told_from_another_tiff_without_reading_it_whole(api: Api, remote: Remote, tmp_path: Path) -> None:
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    plain, cog = tmp_path / "plain.tif", tmp_path / "cog.tif"
    profile = {"driver": "GTiff", "width": 600, "height": 600, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(plain, "w", **profile, transform=from_origin(5e5, 5e6, 10, 10)) as target:
        target.write(np.random.default_rng(1).integers(0, 255, (1, 600, 600), dtype="uint8"))
    cog_translate(plain, cog, cog_profiles.get("deflate"), quiet=True, in_memory=True)
    ranged = {"Content-Type": "image/tiff", "Accept-Ranges": "bytes"}
    remote.serves({"/cog.tif": Says(cog.read_bytes(), 206, ranged), "/plain.tif": Says(plain.read_bytes(), 200)})
    good, other = register(api, remote.url + "/cog.tif"), register(api, remote.url + "/plain.tif")
    assert (good["service_type"], good["detected_capabilities"]["cloud_optimized"]) == ("cog_endpoint", True)
    assert (other["service_type"], other["detected_capabilities"]["cloud_optimized"]) == ("cog_endpoint", False)
    assert good["detection_confidence"] > other["detection_confidence"]
    assert {asked.headers["range"] for asked in remote.asked} == {"bytes=0-16383"}


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/metadata", "http://10.0.0.1/wms", "ftp://example.com/", "http://u:p@example.com/"]
)
def test_addresses_inside_are_refused(api: Api, url: str) -> None:
    answer = api.of("ann").post("/api/jobs/services/register", json={"url": url, "name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "ADDRESS_REFUSED")
    assert api.get("/api/jobs/services")["count"] == 0


def test_an_address_is_registered_once(api: Api, remote: Remote) -> None:
    remote.serves({"/stac": Says(STAC, headers=JSON)})
    register(api, remote.url + "/stac")
    again = api.of("bob").post("/api/jobs/services/register", json={"url": remote.url + "/stac", "name": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")


def test_three_failures_are_an_outage_and_one_answer_ends_it_and_both_are_told_once(api: Api, remote: Remote) -> None:
    routes = {"/stac": Says(STAC, headers=JSON)}
    remote.serves(routes)
    service = register(api, remote.url + "/stac")
    remote.serves({"/stac": Says(status=500)})
    states = [(s["status"], s["consecutive_failures"]) for s in (check(api, service) for _ in range(4))]
    assert states == [("active", 1), ("active", 2), ("offline", 3), ("offline", 4)]
    remote.serves(routes)
    healed = check(api, service)
    assert (healed["status"], healed["consecutive_failures"]) == ("active", 0)
    told = api.query(
        "SELECT payload ->> 'alert', payload ->> 'was' FROM app.outbox WHERE topic = 'service-outage-alerts'"
    )
    assert sorted(told) == [("offline", "active"), ("recovered", "offline")]
    history = api.get(f"/api/jobs/services/{service['service_id']}")["health_history"]
    assert [(h["healthy"], h["status"]) for h in history] == [
        (True, "active"),
        (False, "offline"),
        (False, "offline"),
        (False, "active"),
        (False, "active"),
        (True, "active"),
    ]
    assert {h["status_code"] for h in history} == {200, 500}


def test_a_service_that_became_another_has_failed(api: Api, remote: Remote) -> None:
    remote.serves({"/s": Says(STAC, headers=JSON)})
    service = register(api, remote.url + "/s")
    remote.serves({"/s": Says(FEATURES, headers=JSON)})
    changed = check(api, service)
    assert (changed["consecutive_failures"], changed["service_type"]) == (1, "stac_api")
    assert "ogc_api_features" in changed["last_failure_reason"]


HOSTILE = {
    "nested": b"[" * 200_000,
    "nested within": b'{"tilejson": "3.0.0", "tiles": ["x"], "name": ' + b"[" * 900 + b"]" * 900 + b"}",
    "NUL": b'{"stac_version": "1.0.0", "type": "Catalog", "title": "a\\u0000b"}',
    "half a pair": b'{"stac_version": "1.0.0", "type": "Catalog", "conformsTo": ["x\\ud800y"], "title": "\\udfff"}',
    "NUL in an error": b'{"error": {"code": 1, "message": "a\\u0000\\ud800b"}}',
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_no_database_can_keep_stops_no_check(api: Api, remote: Remote, document: bytes) -> None:
    remote.serves({"/good": Says(STAC, headers=JSON), "/bad": Says(document, headers=JSON)})
    for path in ("/bad", "/good"):
        register(api, remote.url + path)
    api.query("UPDATE app.external_services SET next_check_at = now() - interval '1 second'")
    assert next(timer for timer in TIMERS if timer.name == "external_services").run(api.runtime) == 2
    assert api.query("SELECT count(*) FROM app.external_service_checks") == [(4,)]


def test_text_is_kept_without_what_no_database_can_keep(api: Api, remote: Remote) -> None:
    remote.serves({"/bad": Says(HOSTILE["NUL"], headers=JSON)})
    assert register(api, remote.url + "/bad")["metadata"]["title"] == "ab"


BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "boom">]><WMS_Capabilities version="1.3.0"><Service>
 <Title>&a;</Title></Service></WMS_Capabilities>"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16LE"])
def test_a_document_that_declares_entities_is_refused_in_every_encoding(
    api: Api, remote: Remote, encoding: str
) -> None:
    remote.answer = lambda _: Says(BOMB.encode(encoding), headers={"Content-Type": "text/xml"})
    service = register(api, remote.url + "/wms")
    assert (service["service_type"], service["metadata"]) == ("unknown", {})
    assert "declares entities" in service["last_failure_reason"]


def test_an_error_inside_a_good_answer_is_a_failure(api: Api, remote: Remote) -> None:
    remote.answer = lambda _: Says(b'{"error": {"code": 499, "message": "Token Required"}}', headers=JSON)
    service = register(api, remote.url + "/arcgis/rest/services/secret/MapServer")
    assert (service["service_type"], service["status"]) == ("unknown", "unknown")
    assert "Token Required" in service["last_failure_reason"]


def test_the_timer_checks_what_is_due_once_and_waits_longer_for_what_stays_away(api: Api, remote: Remote) -> None:
    remote.serves({"/stac": Says(STAC, headers=JSON)})
    service = register(api, remote.url + "/stac")
    tick = next(timer for timer in TIMERS if timer.name == "external_services").run
    assert tick(api.runtime) == 0
    due = "UPDATE app.external_services SET next_check_at = now() - interval '1 second'"
    api.query(due)
    assert (tick(api.runtime), tick(api.runtime)) == (1, 0)
    remote.serves({})
    waits = []
    for _ in range(6):
        api.query(due)
        assert tick(api.runtime) == 1
        sql = "SELECT round(extract(epoch FROM next_check_at - last_check_at) / 60) FROM app.external_services"
        waits.append(int(api.query(sql)[0][0]))
    assert waits == [5, 5, 60, 120, 240, 480]
    api.of("ann").patch(f"/api/jobs/services/{service['service_id']}", json={"maintenance": True})
    api.query(due)
    assert tick(api.runtime) == 0


def test_two_hosts_at_once_check_each_service_once(api: Api, remote: Remote) -> None:
    remote.serves({"/stac": Says(STAC, headers=JSON)})
    register(api, remote.url + "/stac")
    api.query("UPDATE app.external_services SET next_check_at = now() - interval '1 second'")
    first = api.runtime.services.claim_due(10, 60)
    assert (len(first), api.runtime.checker.check_due(10)) == (1, 0)


def test_what_one_host_checks_is_left_to_it_however_slow_every_service_is(api: Api, remote: Remote) -> None:
    settings = ExternalServiceSettings(SERVICE_CHECK_SECONDS=60.0, SERVICE_CHECK_BATCH=64)
    api.runtime.settings = replace(api.runtime.settings, external_services=settings)
    register(api, remote.url + "/map")
    api.query("UPDATE app.external_services SET next_check_at = now() - interval '1 second'")
    left = []

    def answer(_: Asked) -> Says:
        left.append(api.query("SELECT extract(epoch FROM next_check_at - now()) FROM app.external_services")[0][0])
        return Says(b"<html></html>")

    remote.answer = answer
    assert next(timer for timer in TIMERS if timer.name == "external_services").run(api.runtime) == 1
    # 64 services, 8 at a time, each asked as often as this one and for a minute each time.
    assert left[0] > 64 / 8 * len(left) * 60
    assert len(left) == 5


def test_alerts_are_delivered_by_the_sweep_and_repeated_until_somebody_takes_them(api: Api, remote: Remote) -> None:
    alerts = Alerts("external_service", api.runtime.outbound, remote.url + "/alert", Silent())
    remote.serves({"/alert": Says(status=500)})
    with pytest.raises(RemoteUnavailable):
        alerts({"alert": "offline", "service_id": "x", "name": "n"})
    remote.serves({"/alert": Says(status=204)})
    alerts({"alert": "offline", "service_id": "x", "name": "n"})
    assert [asked.method for asked in remote.asked] == ["POST", "POST"]
    assert b'"event": "external_service"' in remote.asked[-1].body


def test_who_registered_a_service_changes_it_and_others_do_not(api: Api, remote: Remote) -> None:
    remote.serves({"/stac": Says(STAC, headers=JSON)})
    path = f"/api/jobs/services/{register(api, remote.url + '/stac', tags=['base'])['service_id']}"
    assert api.of("bob").patch(path, json={"name": "mine"}).status_code == 403
    assert api.of("bob").delete(path).status_code == 403
    changed = api.of("ann").put(path, json={"name": "Scenes", "check_interval_minutes": 30}).json()["service"]
    assert (changed["name"], changed["check_interval_minutes"], changed["tags"]) == ("Scenes", 30, ["base"])
    assert api.of("ann").post(path + "/disable").json()["service"]["enabled"] is False
    assert api.get("/api/jobs/services", enabled="true")["count"] == 0
    assert api.get("/api/jobs/services", tag="base", service_type="stac_api")["count"] == 1
    assert api.of("ann").post(path + "/enable").json()["service"]["enabled"] is True
    assert api.of("ann").delete(path).status_code == 200
    assert api.of("ann").get(path).status_code == 404
    deeds = api.query("SELECT action FROM app.audit_log WHERE object_type = 'service' ORDER BY audit_id")
    assert [d[0] for d in deeds] == ["service.register", *["service.update"] * 3, "service.delete"]


def test_a_null_removes_a_description_and_leaves_everything_else(api: Api, remote: Remote) -> None:
    service = register(api, remote.url + "/stac", description="old", tags=["base"])
    path = f"/api/jobs/services/{service['service_id']}"
    nulls = dict.fromkeys(("name", "description", "tags", "check_interval_minutes", "enabled", "maintenance"))
    changed = api.of("ann").patch(path, json=nulls).json()["service"]
    assert changed["description"] is None
    assert {k: changed[k] for k in ("name", "tags", "enabled")} == {k: service[k] for k in ("name", "tags", "enabled")}


def test_two_who_change_different_things_at_once_both_have_their_way(api: Api, remote: Remote) -> None:
    path = f"/api/jobs/services/{register(api, remote.url + '/stac')['service_id']}"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(2) as threads:
        with psycopg.connect(api.db) as conn:
            conn.execute("SELECT 1 FROM app.external_services FOR UPDATE")
            made = [threads.submit(api.of("ann").patch, path, json=body) for body in ({"name": "N"}, {"tags": ["t"]})]
            while api.query(waiting) != [(2,)]:
                assert not any(change.done() for change in made)
        assert [change.result().status_code for change in made] == [200, 200]
    [service] = api.get("/api/jobs/services")["services"]
    assert (service["name"], service["tags"]) == ("N", ["t"])


def test_pages_and_counts_agree(api: Api, remote: Remote) -> None:
    remote.serves({f"/{n}": Says(STAC, headers=JSON) for n in range(5)})
    for n in range(5):
        register(api, f"{remote.url}/{n}")
    seen, after = [], None
    while True:
        page = api.get("/api/jobs/services", limit=2, cursor=after)
        seen += [service["url"] for service in page["services"]]
        if (after := page["next_cursor"]) is None:
            break
    assert sorted(seen) == [f"{remote.url}/{n}" for n in range(5)]
    stats = api.get("/api/jobs/services/stats")
    assert (stats["total"], stats["by_status"], stats["by_type"]) == (5, {"active": 5}, {"stac_api": 5})
    assert (stats["checks_24h"], stats["failed_24h"]) == (5, 0)
