"""What would a raster job find in its source? Its header and one small overview, not its pixels."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from core.contracts.context import Sight
from core.contracts.plans import Look, PlanFinding
from core.contracts.raster import ProcessRasterParameters
from core.contracts.raster_collection import RasterCollectionParameters
from services.raster.gdal import gdal_session
from services.raster.handlers import admitted
from services.raster.inspect import inspect_header
from services.raster.source import locate

_FILES = 20  #: of a collection
_FACTS = ("driver", "member", "variable", "georeference", "raster_type", "is_cog", "layout", "acquired")
_GRID = ("crs", "width", "height", "transform", "bounds", "bbox")
_BAND = ("index", "dtype", "color", "nodata", "scale", "offset", "unit", "description", "statistics")


def preview(parameters: ProcessRasterParameters | RasterCollectionParameters, sight: Sight) -> Look:
    """Open the files where they are, of a collection the first twenty. Statistics are estimates from an overview.

    Raises the DataError that the job would end with, except for damage further in.
    """
    if isinstance(parameters, RasterCollectionParameters):
        members = parameters.members()
    else:
        members = {parameters.blob_name: parameters}
    looked = [_looked(name, member, sight) for name, member in list(members.items())[:_FILES]]
    return Look(
        facts={"files": [facts for facts, _ in looked]},
        findings=tuple(finding for _, findings in looked for finding in findings),
    )


def _looked(name: str, parameters: ProcessRasterParameters, sight: Sight) -> tuple[JsonValue, list[PlanFinding]]:
    request = admitted(parameters.to_validate(), sight.catalog, sight.max_raster_pixels)
    # A directory for each: two files of a collection may be fetched under one name.
    with gdal_session(sight.storage, request.source), TemporaryDirectory(dir=sight.workdir) as workdir:
        located = locate(sight.storage, request.source, Path(workdir), variable=request.variable)
        found = inspect_header(located, request).model_dump(mode="json")
    facts: dict[str, JsonValue] = {"blob_name": name}
    facts |= {key: found.get(key) for key in _FACTS} | {key: found["grid"][key] for key in _GRID}
    facts["bands"] = [{key: band[key] for key in _BAND} for band in found["bands"]]
    return facts, [PlanFinding(**finding) for finding in found["findings"]]
