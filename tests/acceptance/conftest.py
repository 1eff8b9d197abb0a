"""The same system twice: the service under uvicorn, and the Function App under Microsoft's engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from tests.support import system
from tests.support.engine_server import KEY, engine_server
from tests.support.remote import LOOPBACK
from tests.support.system import System


@pytest.fixture(scope="session")
def uvicorn_system(
    cluster: Cluster, templates: Templates, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The whole service with a worker."""
    name = templates.clone(template)
    with system.service(cluster.conninfo(name), tmp_path_factory.mktemp("uvicorn")) as running:
        yield running
    templates.drop(name)


@pytest.fixture(scope="session")
def engine_system(
    cluster: Cluster, templates: Templates, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The Function App with a worker beside it, as in production."""
    if sys.version_info < (3, 13):
        pytest.skip("Microsoft's Functions engine needs Python 3.13")
    name, home = templates.clone(template), tmp_path_factory.mktemp("engine")
    conninfo = cluster.conninfo(name)
    worker = system.process("worker", system.environment(conninfo, home), home / "worker.log")
    with engine_server(conninfo, home, OUTBOUND_ALLOWED_NETWORKS=LOOPBACK) as server, worker:
        yield System(server.base_url, KEY, conninfo, home)
    templates.drop(name)


@pytest.fixture(params=["uvicorn", pytest.param("engine", marks=pytest.mark.engine)])
def running(request: pytest.FixtureRequest) -> System:
    """Each of the two in turn."""
    found: System = request.getfixturevalue(f"{request.param}_system")
    return found


@pytest.fixture
def small_raster(tmp_path: Path) -> Path:
    """A 600 x 400 GeoTIFF of heights in EPSG:4326, nodata -9999 in its first column, unlike any other test's."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    rows, columns = np.mgrid[0:400, 0:600]
    heights = (100 + 50 * np.sin(rows / 40) * np.cos(columns / 60)).astype("float32")
    heights[:, 0] = -9999
    heights[0, 1] = np.float32(hash(str(tmp_path)) % 1000)
    path = tmp_path / "heights.tif"
    profile = {"driver": "GTiff", "width": 600, "height": 400, "count": 1, "dtype": "float32", "nodata": -9999}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=from_origin(7, 47, 0.001, 0.001), **profile) as file:
        file.write(heights, 1)
    return path


@pytest.fixture
def small_vector(tmp_path: Path) -> Path:
    """A GeoJSON file of five points with a text, a number and a date."""
    import json

    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [7 + i / 10, 46 + i / 10]},
            "properties": {"name": f"Ort {i}", "value": i * 1.5, "seen": f"2024-01-0{i + 1}"},
        }
        for i in range(5)
    ]
    path = tmp_path / "orte.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path
