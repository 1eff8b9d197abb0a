"""Which raster job a request gets, and the sentence that says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.contracts.platform import ProcessingMode
from core.errors import InvalidRequest, PayloadTooLarge
from services.platform.routing import Routes, route_collection, route_raster

MIB = 1 << 20
ROUTES = Routes(
    docker_mb=2000, raster_mb=8000, tiled_mb=30000, worker=True, collection_file_mb=1200, collection_files=3
)
ALONE = replace(ROUTES, worker=False)


@pytest.mark.parametrize(
    ("mode", "size", "routes", "job_type", "because"),
    [
        ("auto", 1, ROUTES, "process_raster_v2", "at most RASTER_ROUTE_DOCKER_MB=2000"),
        ("auto", 2000 * MIB, ROUTES, "process_raster_v2", "2000.0 MiB is at most"),
        ("auto", 2000 * MIB + 1, ROUTES, "process_raster_docker", "is more than RASTER_ROUTE_DOCKER_MB=2000"),
        ("auto", 2000 * MIB + 1, ALONE, "process_raster_v2", "there is no worker"),
        ("function", 3000 * MIB, ROUTES, "process_raster_v2", "processing_mode=function was asked for"),
        ("docker", 1, ROUTES, "process_raster_docker", "processing_mode=docker was asked for"),
        (
            "auto",
            8000 * MIB + 1,
            ROUTES,
            "process_large_raster_v2",
            "REJECT_MB=8000: it is cut into tiles",
        ),
        ("function", 8000 * MIB + 1, ALONE, "process_large_raster_v2", "converted in parallel"),
        ("docker", 8000 * MIB + 1, ROUTES, "process_large_raster_docker", "by the worker"),
    ],
)
def test_size_and_wish_decide(mode: str, size: int, routes: Routes, job_type: str, because: str) -> None:
    route = route_raster(ProcessingMode(mode), "bronze-rasters/a.tif", size, routes)
    assert route.job_type == job_type and because in route.reason


def test_the_worker_cannot_be_asked_for_where_there_is_none() -> None:
    with pytest.raises(InvalidRequest, match="has none") as refused:
        route_raster(ProcessingMode.DOCKER, "bronze-rasters/a.tif", 1, ALONE)
    assert refused.value.hint and "DOCKER_WORKER_ENABLED" in refused.value.hint


def test_a_file_above_every_limit_is_refused_by_name() -> None:
    with pytest.raises(PayloadTooLarge, match=r"bronze-rasters/a\.tif has 30000 MiB; the limit for raster is 30000"):
        route_raster(ProcessingMode.AUTO, "bronze-rasters/a.tif", 30000 * MIB + 1, ROUTES)


def test_several_files_become_a_collection_whatever_they_weigh_together() -> None:
    route = route_collection({"a.tif": 1200 * MIB, "b.tif": 1}, ROUTES)
    assert route.job_type == "process_raster_collection_v2" and "2 files (1200.0 MiB)" in route.reason


def test_a_file_too_large_for_a_collection_is_named() -> None:
    with pytest.raises(PayloadTooLarge, match=r"^b\.tif has more than the 1200 MiB"):
        route_collection({"a.tif": 1, "b.tif": 1200 * MIB + 1}, ROUTES)


def test_more_files_than_allowed_are_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidRequest, match="lists 4 files; a collection takes 3"):
        route_collection(dict.fromkeys("abcd", 1), ROUTES)
