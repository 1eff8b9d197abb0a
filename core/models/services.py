"""Map services of others that we know, how they are, and how each check went."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import Created, Json, NonNegative, Record, Stamped
from core.schema.table import Column, ForeignKey, Index, Table

ServiceId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class ServiceType(StrEnum):
    """What a service speaks."""

    ARCGIS_MAPSERVER = "arcgis_mapserver"  #: ArcGIS REST, maps
    ARCGIS_FEATURESERVER = "arcgis_featureserver"  #: ArcGIS REST, features
    ARCGIS_IMAGESERVER = "arcgis_imageserver"  #: ArcGIS REST, rasters
    WMS = "wms"  #: OGC Web Map Service
    WFS = "wfs"  #: OGC Web Feature Service
    WMTS = "wmts"  #: OGC Web Map Tile Service
    OGC_API_FEATURES = "ogc_api_features"  #: OGC API, features
    OGC_API_TILES = "ogc_api_tiles"  #: OGC API, tiles
    STAC_API = "stac_api"  #: a STAC catalogue
    XYZ_TILES = "xyz_tiles"  #: tiles, counted from the top
    TMS_TILES = "tms_tiles"  #: tiles, counted from the bottom
    COG_ENDPOINT = "cog_endpoint"  #: a GeoTIFF that can be read in parts
    GENERIC_REST = "generic_rest"  #: some JSON
    UNKNOWN = "unknown"  #: it did not say


class ServiceStatus(StrEnum):
    """How a service is."""

    UNKNOWN = "unknown"  #: not checked with success yet
    ACTIVE = "active"  #: answers
    DEGRADED = "degraded"  #: answers slowly, again and again
    OFFLINE = "offline"  #: does not answer, again and again
    MAINTENANCE = "maintenance"  #: a person said so; it is not checked


class ExternalService(Record):
    """A service. `probe_url` is what a check asks; the counts are of the latest checks in a row."""

    __table__: ClassVar[Table] = Table(
        name="external_services",
        primary_key=("service_id",),
        uniques=(("url",),),
        indexes=(Index(("next_check_at",), where="enabled", name="ix_external_services_due"),),
    )

    service_id: ServiceId
    url: Annotated[str, Field(min_length=8, max_length=2000)]
    probe_url: Annotated[str, Field(min_length=8, max_length=2500)]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    service_type: ServiceType = ServiceType.UNKNOWN
    detection_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    status: ServiceStatus = ServiceStatus.UNKNOWN
    enabled: bool = True
    detected_capabilities: Json = Field(default_factory=dict)
    metadata: Json = Field(default_factory=dict)
    last_response_ms: NonNegative | None = None
    avg_response_ms: NonNegative | None = None
    consecutive_failures: NonNegative = 0
    slow_checks: NonNegative = 0
    last_failure_reason: str | None = None
    check_interval_minutes: Annotated[int, Field(ge=5, le=10080)] = 60
    last_check_at: AwareDatetime | None = None
    next_check_at: Created
    created_by: Annotated[str, Field(max_length=255)]
    created_at: Stamped = None
    updated_at: Stamped = None


class ServiceCheck(Record):
    """One check: what came back, and how the service stood after it."""

    __table__: ClassVar[Table] = Table(
        name="external_service_checks",
        primary_key=("check_id",),
        indexes=(Index(("service_id", "check_id")),),
        foreign_keys=(ForeignKey(("service_id",), "app.external_services", ("service_id",), on_delete="CASCADE"),),
    )

    check_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    service_id: ServiceId
    checked_at: Created
    healthy: bool
    status_code: int | None = None
    response_ms: NonNegative | None = None
    reason: str | None = None
    status: ServiceStatus
