"""Points and polygons like those of a district's buildings and parcels, in the formats that are compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WEST, _SOUTH, _EAST, _NORTH = 28.8, -2.9, 30.9, -1.0
_SYLLABLES = ("ka", "mu", "gi", "ru", "ba", "nya", "ki", "bu", "zi", "ma", "ra", "no", "te", "ho", "ré", "sha")
_KINDS = ("residential", "commercial", "school", "clinic", "church", "market", "industrial", "farm", "other", "unknown")


def made(root: Path, points: int, polygons: int) -> Path:
    """The folder with inputs of that size, made at first, in a process whose memory is not measured."""
    folder = root / f"{points}-{polygons}"
    if not (folder / ".made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, __file__, str(folder), str(points), str(polygons)], check=True)
        (folder / ".made").touch()
    return folder


def _points(folder: Path, count: int) -> None:
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyogrio
    import shapely

    random = np.random.default_rng(7)
    towns = 4000
    weights = random.pareto(1.2, towns) + 0.05
    town = random.choice(towns, count, p=weights / weights.sum())
    x, y = random.uniform(_WEST, _EAST, towns)[town], random.uniform(_SOUTH, _NORTH, towns)[town]
    lon = np.clip(x + random.normal(0, 0.012, count), _WEST, _EAST)
    lat = np.clip(y + random.normal(0, 0.012, count), _SOUTH, _NORTH)
    moments = pd.to_datetime("2024-01-01") + pd.to_timedelta(random.integers(0, 86400 * 600, count), unit="s")
    frame = pd.DataFrame(
        {
            "building_id": np.arange(count, dtype="int64") + 10_000_000,
            "name": _names(random, count),
            "category": np.array(_KINDS)[random.integers(0, 10, count)],
            "area_m2": np.round(random.gamma(2, 40, count), 2),
            "floors": random.integers(1, 6, count).astype("int32"),
            "confidence": random.random(count),
            "updated_at": moments,
            "admin_code": np.char.add("RW", random.integers(1000, 9999, count).astype("U4")),
        }
    )
    features = gpd.GeoDataFrame(frame, geometry=shapely.points(lon, lat), crs=4326)
    pyogrio.write_dataframe(features, folder / "points.gpkg", layer="points", use_arrow=True)
    features.to_parquet(folder / "points.parquet", row_group_size=65536, compression="zstd")
    table = pa.Table.from_pandas(frame.assign(lon=lon, lat=lat), preserve_index=False)
    pa_csv.write_csv(table, folder / "points.csv")


def _polygons(folder: Path, count: int) -> None:
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    import pyogrio
    import shapely

    random = np.random.default_rng(8)
    sizes = random.integers(30, 51, count)
    first = np.r_[0, np.cumsum(sizes)[:-1]]
    total = int(sizes.sum())
    angle = (np.arange(total) - np.repeat(first, sizes)) / np.repeat(sizes, sizes) * 2 * np.pi
    radius = np.repeat(random.uniform(0.0005, 0.003, count), sizes) * random.uniform(0.75, 1.25, total)
    x = np.repeat(random.uniform(_WEST, _EAST, count), sizes) + radius * np.cos(angle)
    y = np.repeat(random.uniform(_SOUTH, _NORTH, count), sizes) + radius * np.sin(angle)
    for bad in random.choice(count, count // 1000, replace=False):  # two vertices exchanged: a bow-tie
        i, j = first[bad] + 3, first[bad] + 12
        x[[i, j]], y[[i, j]] = x[[j, i]], y[[j, i]]
    ends = np.cumsum(sizes)
    x, y = np.insert(x, ends, x[first]), np.insert(y, ends, y[first])
    rings = shapely.linearrings(np.c_[x, y], indices=np.repeat(np.arange(count), sizes + 1))
    frame = pd.DataFrame(
        {
            "parcel_id": np.arange(count, dtype="int64"),
            "owner": _names(random, count),
            "landuse": np.array(_KINDS)[random.integers(0, 10, count)],
            "area_ha": np.round(random.gamma(2, 2, count), 4),
            "year": random.integers(1990, 2025, count).astype("int32"),
            "upi": np.char.add("1/02/", random.integers(10000, 99999, count).astype("U5")),
        }
    )
    features = gpd.GeoDataFrame(frame, geometry=shapely.polygons(rings), crs=4326)
    pyogrio.write_dataframe(features, folder / "polygons.gpkg", layer="polygons", use_arrow=True)
    pyogrio.write_dataframe(features, folder / "polygons.geojson", driver="GeoJSON")
    features.to_parquet(folder / "polygons.parquet", row_group_size=16384, compression="zstd")


def _names(random, count: int):  # type: ignore[no-untyped-def]  # numpy is not imported by who only asks for the folder
    import numpy as np

    parts = np.array(_SYLLABLES)[random.integers(0, len(_SYLLABLES), (count, 4))]
    return np.char.add(np.char.add(parts[:, 0], parts[:, 1]), np.char.add(parts[:, 2], parts[:, 3]))


if __name__ == "__main__":
    target, points, polygons = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if points:
        _points(target, points)
    if polygons:
        _polygons(target, polygons)
