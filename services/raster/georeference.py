"""Which coordinate reference system and grid does a raster have? Refuses what has no certain place on Earth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from core.contracts.findings import Severity
from core.contracts.raster import Finding, Georeference, RasterGrid
from core.contracts.raster_findings import FindingCode as Code
from core.errors import CrsMismatch, CrsMissing, InvalidRaster, InvalidRequest
from services.raster.footprint import footprint, on_earth

_HOW = "Give the right one as input_crs, for example EPSG:4326, or write it into the file."


@dataclass(frozen=True)
class Placement:
    """The CRS to use, whether it was given rather than found, how pixels are tied to it, and what was noticed."""

    crs: CRS
    given: bool
    georeference: Georeference
    findings: tuple[Finding, ...] = ()


def parse_crs(text: str, field: str) -> CRS:
    """A CRS from EPSG:..., WKT or PROJ text of a request. Raises InvalidRequest naming the field."""
    try:
        return CRS.from_user_input(text)
    except (CRSError, CPLE_BaseError, ValueError) as e:
        raise InvalidRequest(
            f"{field} {text[:80]!r} is not a coordinate reference system.", hint="Try EPSG:4326."
        ) from e


def authority(crs: CRS) -> str | None:
    """AUTHORITY:CODE when the CRS is a registered one."""
    return _authority(crs.to_wkt())


@lru_cache(maxsize=64)
def _authority(wkt: str) -> str | None:
    # PROJ searches its whole database for a CRS that names no code: 60 ms.
    found = CRS.from_wkt(wkt).to_authority()
    return f"{found[0]}:{found[1]}" if found else None


def crs_label(crs: CRS) -> str:
    """For a person: the code, else the name."""
    return authority(crs) or crs.to_wkt().split('"')[1]


def place(dataset: DatasetReader, label: str, input_crs: str | None) -> Placement:
    """Decide the CRS from the file and the request."""
    asked = parse_crs(input_crs, "input_crs") if input_crs else None
    points, points_crs = dataset.gcps
    identity = dataset.transform.is_identity
    own = dataset.crs or (points_crs if points and identity else None)
    if identity and not points and dataset.rpcs is not None:
        raise InvalidRaster(
            f"{label} is tied to the ground by a camera model (RPC) only, which takes a height model to resolve.",
            hint="Orthorectify it, for example with gdalwarp -rpc -to RPC_DEM=..., and submit the result.",
        )
    findings: list[Finding] = []
    if own is not None and not (own.is_geographic or own.is_projected or own.to_wkt().startswith("GEOCCS")):
        findings.append(_set_aside(own, label, asked))
        own = None
    if own is None and asked is None:
        raise CrsMissing(f"{label} states no coordinate reference system.", hint=_HOW)
    if own is not None and asked is not None and not same_crs(own, asked):
        raise CrsMismatch(
            f"{label} is in {crs_label(own)}, but input_crs says {crs_label(asked)}.",
            hint="Leave input_crs out; it is only for files that state none.",
        )
    crs = own or asked
    assert crs is not None
    if not on_earth(crs):
        raise InvalidRaster(
            f"{label} lies on another celestial body ({crs_label(crs)}).", hint="Only data of the Earth is catalogued."
        )
    if identity and not points:
        raise InvalidRaster(
            f"{label} has no georeference: pixels are not tied to coordinates.",
            hint="Add a geotransform or a world file.",
        )
    georeference = _georeference(dataset, findings)
    if own is None:
        findings.append(_info(Code.INPUT_CRS_USED, f"The file states no CRS; {crs_label(crs)} was given.", None))
    elif authority(crs) is None:
        findings.append(_info(Code.CUSTOM_CRS, f"The CRS {crs_label(crs)!r} has no registered code.", None))
    return Placement(crs, own is None, georeference, tuple(findings))


def _set_aside(local: CRS, label: str, asked: CRS | None) -> Finding:
    if asked is None:
        raise CrsMissing(
            f"{label} states only a local coordinate system ({crs_label(local)!r}) with no place on Earth.", hint=_HOW
        )
    return _info(Code.LOCAL_CRS_REPLACED, f"The file's local system {crs_label(local)!r} was set aside.", None)


def _georeference(dataset: DatasetReader, findings: list[Finding]) -> Georeference:
    if dataset.transform.is_identity:
        findings.append(
            _info(
                Code.GCP_GEOREFERENCE,
                f"Tied to the ground by {len(dataset.gcps[0])} control points; the COG is resampled to a regular grid.",
                "Submit an orthorectified raster to keep pixel values.",
            )
        )
        return Georeference.GCPS
    if not dataset.transform.is_rectilinear:
        findings.append(
            _info(
                Code.ROTATED_GRID,
                "The grid is rotated; it is kept as it is.",
                "Give target_crs for a north-up grid.",
            )
        )
        return Georeference.ROTATED
    if dataset.transform.e > 0:
        findings.append(
            _info(Code.SOUTH_UP_GRID, "Rows run from south to north; the COG has them from north to south.", None)
        )
        return Georeference.SOUTH_UP
    return Georeference.AFFINE


def _info(code: Code, message: str, fix: str | None) -> Finding:
    return Finding(code=code, severity=Severity.INFO, message=message, fix=fix)


def same_crs(one: CRS, other: CRS) -> bool:
    """Equal as definitions or as registered codes."""
    if one == other:
        return True
    codes = authority(one), authority(other)
    return codes[0] is not None and codes[0] == codes[1]


def north_up(dataset: DatasetReader) -> Affine:
    """The transform of a rectilinear grid with its rows from north to south; of any other grid its own."""
    t: Affine = dataset.transform
    if not t.is_rectilinear or t.e <= 0:
        return t
    return Affine(t.a, t.b, t.c, t.d, -t.e, t.f + t.e * dataset.height)


def grid(dataset: DatasetReader, crs: CRS, label: str) -> RasterGrid:
    """The dataset's grid, north up; for control points, that of its rectified picture."""
    if dataset.transform.is_identity and dataset.gcps[0]:
        with WarpedVRT(dataset, src_crs=crs, crs=crs) as regular:
            return grid(regular, crs, label)
    t = north_up(dataset)
    transform = (t.a, t.b, t.c, t.d, t.e, t.f)
    outline, bbox = footprint(crs, transform, dataset.width, dataset.height, label)
    left, bottom, right, top = dataset.bounds
    return RasterGrid(
        crs=authority(crs),
        wkt=crs.to_wkt(),
        width=dataset.width,
        height=dataset.height,
        transform=transform,
        bounds=(left, min(bottom, top), right, max(bottom, top)),
        bbox=bbox,
        footprint=outline,
    )
