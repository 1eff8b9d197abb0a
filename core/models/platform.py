"""What a partner asked for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import ByteCount, Created, JobId, Json, NonNegative, Record, Stamped
from core.schema.table import Check, Index, Table


class DataType(StrEnum):
    """What kind of data a request brings."""

    RASTER = "raster"  #: grids of pixels
    VECTOR = "vector"  #: features with geometry
    POINTCLOUD = "pointcloud"  #: points with elevation, such as LAS
    MESH_3D = "mesh_3d"  #: surfaces in three dimensions
    TABULAR = "tabular"  #: rows without geometry


class AccessLevel(StrEnum):
    """Who may see a dataset. Parsed whatever its case."""

    PUBLIC = "public"  #: anyone, once approved
    OUO = "ouo"  #: official use only: inside the organisation
    RESTRICTED = "restricted"  #: those named

    @classmethod
    def _missing_(cls, value: object) -> AccessLevel | None:
        if isinstance(value, str) and value != value.lower():
            return cls._value2member_map_.get(value.lower())  # type: ignore[return-value]  # its values are members
        return None


class ApiRequest(Record):
    """One dataset version that a partner submitted, and the job that carries it out."""

    __table__: ClassVar[Table] = Table(
        name="api_requests",
        primary_key=("request_id",),
        uniques=(("dataset_id", "resource_id", "version_id", "client_id"),),
        indexes=(Index(("job_id",)), Index(("created_at",))),
    )

    request_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    dataset_id: Annotated[str, Field(min_length=1, max_length=255)]
    resource_id: Annotated[str, Field(min_length=1, max_length=255)]
    version_id: Annotated[str, Field(min_length=1, max_length=50)]
    client_id: Annotated[str, Field(min_length=1, max_length=255)] = "ddh"
    operation: Annotated[str, Field(pattern="^(CREATE|UPDATE|DELETE)$")] = "CREATE"
    data_type: DataType
    job_id: JobId
    source_container: str
    source_path: str
    source_etag: str | None = None
    source_size: ByteCount | None = None
    access_level: AccessLevel = AccessLevel.OUO
    callback_url: Annotated[str | None, Field(max_length=2000)] = None
    request: Json
    routing: str | None = None
    submitted_by: str | None = None
    retry_count: NonNegative = 0
    created_at: Stamped = None
    updated_at: Stamped = None


class SubmitPlan(Record):
    """A dry run that was kept, so that exactly it can be submitted. `sources` are the files as they were."""

    __table__: ClassVar[Table] = Table(
        name="submit_plans",
        primary_key=("plan_id",),
        indexes=(Index(("expires_at",)),),
        checks=(Check("expires_later", "expires_at > created_at"),),
    )

    plan_id: Annotated[str, Field(pattern="^pln-[0-9a-f]{32}$")]
    request: Json
    job_id: JobId
    sources: list[Json]
    submitted_by: str
    created_at: Created
    expires_at: AwareDatetime


class IdempotencyKey(Record):
    """A key by which a client marks a call, the call's hash, and what it was answered.

    Until there is an answer, `holder` is the one process's call that carries it out, since `created_at`.
    """

    __table__: ClassVar[Table] = Table(
        name="idempotency_keys",
        primary_key=("client_id", "key"),
        indexes=(Index(("created_at",)),),
        checks=(Check("answered_whole", "(answer IS NULL) = (status_code IS NULL)"),),
    )

    client_id: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1, max_length=255)]
    request_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    holder: str = ""
    status_code: int | None = None
    answer: Json | None = None
    created_at: Stamped = None
