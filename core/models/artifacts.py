"""What a job made for one item of the catalogue, revision by revision, and how to put a revision in place."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import BigInt, ByteCount, Created, JobId, Json, Positive, Record
from core.schema.table import Check, Column, ForeignKey, Index, Table
from core.states import ArtifactStatus

ArtifactId = Annotated[str, Field(pattern="^art-[0-9a-f]{32}$")]


class Artifact(Record):
    """One revision of an item and its outputs. At most one is in the catalogue; each names the one it replaces.

    `files` are the hrefs of its assets, `tables` its feature tables as `schema.table`. `source_*` say what it
    was made from. `superseded_at` starts the time for which a replaced revision is kept.
    """

    __table__: ClassVar[Table] = Table(
        name="artifacts",
        primary_key=("artifact_id",),
        uniques=(("stac_collection_id", "stac_item_id", "revision"),),
        indexes=(
            Index(
                ("stac_collection_id", "stac_item_id"),
                unique=True,
                where="status = 'current'",
                name="ux_artifacts_current",
            ),
            Index(("job_key",)),
            Index(("approval_id",)),
            Index(("request_id",)),
            Index(("superseded_at",), where="status = 'superseded'", name="ix_artifacts_kept"),
            Index(("files",), method="gin"),
        ),
        checks=(
            Check("superseded_has_date", "status <> 'superseded' OR superseded_at IS NOT NULL"),
            Check("deleted_iff_deleted_at", "(status = 'deleted') = (deleted_at IS NOT NULL)"),
            Check("supersedes_another", "supersedes <> artifact_id"),
        ),
        foreign_keys=(
            ForeignKey(("job_key",), "app.jobs", ("job_key",), on_delete="SET NULL"),
            ForeignKey(("approval_id",), "app.dataset_approvals", ("approval_id",), on_delete="SET NULL"),
            ForeignKey(("supersedes",), "app.artifacts", ("artifact_id",), on_delete="SET NULL"),
            ForeignKey(("superseded_by",), "app.artifacts", ("artifact_id",), on_delete="SET NULL"),
        ),
    )

    artifact_id: ArtifactId
    stac_collection_id: str
    stac_item_id: str
    revision: Positive
    status: ArtifactStatus
    job_id: JobId | None = None
    job_key: BigInt | None = None
    approval_id: str | None = None
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    source_container: str | None = None
    source_path: str | None = None
    source_etag: str | None = None
    source_size: ByteCount | None = None
    files: list[str] = Field(default_factory=list)
    tables: list[str] = Field(default_factory=list)
    supersedes: str | None = None
    superseded_by: str | None = None
    created_at: Created
    superseded_at: AwareDatetime | None = None
    deleted_at: AwareDatetime | None = None
    files_deleted_at: AwareDatetime | None = None


class HeldEffect(Record):
    """A change of the catalogue that waits: a draft's, or what would bring a replaced revision back."""

    __table__: ClassVar[Table] = Table(
        name="held_effects",
        primary_key=("held_id",),
        indexes=(Index(("artifact_id", "held_id")),),
        foreign_keys=(ForeignKey(("artifact_id",), "app.artifacts", ("artifact_id",), on_delete="CASCADE"),),
    )

    held_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    artifact_id: ArtifactId
    kind: str
    payload: Json
