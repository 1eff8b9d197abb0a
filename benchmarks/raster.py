"""COGs beside what users would reach for: CPU seconds and peak memory, interleaved rounds, medians.

python benchmarks/raster.py [--rounds 3] [--only dem] [--side 10000] [--tenfold]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

import deflate  # noqa: E402
import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import rasterio.shutil  # noqa: E402
from rasterio.errors import NotGeoreferencedWarning  # noqa: E402
from rasterio.windows import Window  # noqa: E402
from rio_cogeo.cogeo import cog_translate  # noqa: E402
from rio_cogeo.profiles import cog_profiles  # noqa: E402

from benchmarks import raster_rig as rig  # noqa: E402
from core.contracts.raster import CreateCogInput, OutputTier, ValidateRasterInput  # noqa: E402
from services.raster import handlers  # noqa: E402
from services.raster.gdal import BLOCK_CACHE  # noqa: E402
from services.raster.onepass import predictors  # noqa: E402
from services.raster.profiles import CogProfile, profile  # noqa: E402
from services.raster.views import PixelFacts, Prepared  # noqa: E402
from services.raster.writing import write  # noqa: E402
from tests.support.raster import RasterRig  # noqa: E402

#: Which file, which compression, which cases.
SCENARIOS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "dem deflate": ("dem", "DEFLATE", ("floor", "driver", "rio-cogeo", "writer", "tasks")),
    "rgb jpeg": ("rgb", "JPEG", ("driver", "rio-cogeo", "writer", "tasks")),
    "rgb deflate": ("rgb", "DEFLATE", ("floor", "driver", "rio-cogeo", "writer", "tasks")),
    # One row less makes it a layout that only GDAL's driver may write.
    "odd dem deflate": ("odd", "DEFLATE", ("driver", "tasks")),
}
_EXPLAINED = {
    "floor": "the tiles of all levels compressed at level 6 from memory, nothing else",
    "driver": "GDAL's COG driver alone, with our profile",
    "rio-cogeo": "`rio cogeo create` with the same options",
    "writer": "our writer alone",
    "tasks": "our two tasks: inspection with statistics, COG, checksums verified, SHA-256, stored",
}


def chosen(source: Path, compression: str) -> CogProfile:
    """The profile that our tasks would choose."""
    picture = source.name.startswith("rgb")
    options: dict[str, str | int] = {
        "blocksize": 512, "num_threads": "ALL_CPUS", "bigtiff": "IF_SAFER", "overview_resampling": "AVERAGE",
        "overviews": "IGNORE_EXISTING", "compress": compression,
    }  # fmt: skip
    options |= {"quality": 85} if compression == "JPEG" else {"predictor": "YES", "level": 6}
    assert picture or compression == "DEFLATE"
    return CogProfile(OutputTier.ANALYSIS, compression, options, lossless=compression != "JPEG")


def driver(source: Path, folder: Path, compression: str) -> None:
    """The bare driver, in the block cache that we give it."""
    with rasterio.open(source) as dataset:
        rasterio.shutil.copy(dataset, folder / "driver.tif", driver="COG", **chosen(source, compression).options)


def rio_cogeo(source: Path, folder: Path, compression: str) -> None:
    """What its command line does."""
    options = dict(cog_profiles.get(compression.lower()))
    if compression == "JPEG":
        options["quality"] = 85
    else:
        options |= {"predictor": 2 if source.name.startswith("rgb") else 3, "zlevel": 6}
    config = {"GDAL_NUM_THREADS": "ALL_CPUS", "GDAL_TIFF_INTERNAL_MASK": True}
    cog_translate(source, folder / "rio.tif", options, overview_resampling="average", config=config, quiet=True)


def writer(source: Path, folder: Path, compression: str) -> None:
    """Our writer, whichever of the two it chooses."""
    with rasterio.open(source) as dataset:
        facts = PixelFacts((None,) * dataset.count, ("",) * dataset.count, None)
        prepared = Prepared(dataset, None, True, facts)
        write(prepared, chosen(source, compression), folder / "writer.tif", lambda _: None)


def floor(source: Path, folder: Path, compression: str) -> None:
    """Compress as many tiles as all levels have, by libdeflate in two threads."""
    predict = predictors.horizontal if source.name.startswith("rgb") else predictors.floating
    with rasterio.open(source) as dataset, ThreadPoolExecutor(2) as pool:
        for row in range(0, dataset.height - 511, 512):
            pixels = np.moveaxis(dataset.read(window=Window(0, row, dataset.width, 512)), 0, -1)
            parts = [pixels[:, c : c + 512] for c in range(0, dataset.width, 512)]
            list(pool.map(lambda part: deflate.zlib_compress(predict(part), 6), parts + parts[::3]))


def tasks(rig_: RasterRig, source: Path, compression: str) -> Callable[[], None]:
    """Both tasks on a stored copy of the source."""
    blob = rig_.upload(source)
    tier = OutputTier.VISUALIZATION if compression == "JPEG" else OutputTier.ANALYSIS
    params = rig_.parameters(blob, output_tier=tier)

    def run() -> None:
        asked = ValidateRasterInput(blob_name=blob.path, container_name=blob.container)
        inspection = handlers.validate(asked, rig_.context())
        order = CreateCogInput(dataset=params.dataset, inspection=inspection, output_tier=tier)
        made = handlers.create_cog(order, rig_.context())
        assert made.cogs[0].compression == compression, made.cogs[0].compression
        assert profile(tier, inspection, 85)[0].options["overview_resampling"] == "AVERAGE"

    return run


def case(name: str, compression: str, source: Path, folder: Path) -> dict[str, float]:
    """One case in this process."""
    if name == "tasks":
        return {**rig.measured(tasks(RasterRig(folder), source, compression)), "size_mb": 0.0}
    work = {"driver": driver, "rio-cogeo": rio_cogeo, "writer": writer, "floor": floor}[name]
    # rio-cogeo keeps GDAL's own cache: that is how it is used.
    options = {} if name == "rio-cogeo" else {"GDAL_CACHEMAX": BLOCK_CACHE}
    with rasterio.Env(**options):
        found = rig.measured(lambda: work(source, folder, compression))
    return {**found, "size_mb": round(sum(file.stat().st_size for file in folder.glob("*.tif")) / 1e6, 1)}


def report(found: Mapping[str, Mapping[str, list[dict[str, float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians, printed with ratios to the driver and to rio-cogeo."""
    medians: dict[str, dict[str, dict[str, float]]] = {}
    print("\n| | CPU s | peak MB | file MB | to driver | to rio-cogeo |\n|---|---|---|---|---|---|")
    for scenario, cases in found.items():
        medians[scenario] = {
            name: {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
            for name, runs in cases.items()
        }
        for name, median in medians[scenario].items():
            ratios = []
            for peer in ("driver", "rio-cogeo"):
                other = medians[scenario].get(peer)
                ratios.append(f"{median['cpu_s'] / other['cpu_s']:.2f}" if other else "")
            figures = f"{median['cpu_s']} | {median['peak_mb']:.0f} | {median['size_mb'] or ''}"
            print(f"| {scenario}: {name} | {figures} | {' | '.join(ratios)} |")
    return medians


def sources(folder: Path, side: int) -> dict[str, Path]:
    """The files, made at first and kept."""
    sizes = {"dem": ("dem", side), "rgb": ("rgb", side), "odd": ("dem", side - 1)}
    return {name: rig.generate(kind, folder, side, height) for name, (kind, height) in sizes.items()}


def main() -> None:
    """Everything, or one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="scenarios whose name starts so")
    parser.add_argument("--cases", default=",".join(_EXPLAINED), help="of these cases")
    parser.add_argument("--side", type=int, default=10_000, help="width of the rasters")
    parser.add_argument("--tenfold", action="store_true", help="our tasks once, on rasters ten times as large")
    parser.add_argument("--case")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--folder", type=Path, default=rig.ROOT / ".local/bench-raster")
    options = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    if options.tenfold:
        options.side, options.rounds, options.cases = 31_622, 1, "tasks"
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.case:
        name, _, compression = options.case.partition(":")
        print("CASE " + json.dumps(case(name, compression, options.source, options.folder)))
        return
    files = sources(options.folder, options.side)
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for number in range(options.rounds):
        for scenario, (file, compression, cases) in SCENARIOS.items():
            for name in cases if scenario.startswith(options.only) else ():
                if name in options.cases.split(","):
                    scratch = Path(tempfile.mkdtemp(dir=options.folder))
                    run = rig.fresh(f"{name}:{compression}", files[file], scratch)
                    shutil.rmtree(scratch)
                    print(number + 1, scenario, name, run, flush=True)
                    found[scenario][name].append(run)
    for name, text in _EXPLAINED.items():
        print(f"{name}: {text}")
    print("RESULT " + json.dumps(report(found)))


if __name__ == "__main__":
    main()
