"""Which roles are there, and which keys carry them?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import Created, Record
from core.schema.table import Check, Index, Table


class Role(StrEnum):
    """What a caller may do. Nobody without one sees more than the published catalogue."""

    PARTNER = "partner"  #: submit, and see its own
    REVIEWER = "reviewer"  #: approve and reject
    ADMIN = "admin"  #: everything


class DatasetReader(Record):
    """A client who may see the published restricted data of a dataset that is not its own."""

    __table__: ClassVar[Table] = Table(
        name="dataset_readers", primary_key=("dataset_id", "client_id"), indexes=(Index(("client_id",)),)
    )

    dataset_id: Annotated[str, Field(min_length=1, max_length=255)]
    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    added_by: str
    added_at: Created


class ApiKey(Record):
    """A key of a client. Its secret is nowhere: `digest` is the SHA-256 of it, `key_id` the part that names the key."""

    __table__: ClassVar[Table] = Table(
        name="api_keys",
        primary_key=("key_id",),
        indexes=(Index(("client_id",)),),
        checks=(
            Check("roles_known", 'roles <@ \'["admin", "partner", "reviewer"]\' AND jsonb_array_length(roles) > 0'),
            Check("revoked_by_somebody", "(revoked_at IS NULL) = (revoked_by IS NULL)"),
        ),
    )

    key_id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    roles: list[Role]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created_at: Created
    created_by: str
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    revoked_by: str | None = None
    last_used_at: AwareDatetime | None = None
    replaces: str | None = None
