"""Who did what to which object, when and from where. Rows are only ever added."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import Json, Record
from core.schema.table import Column, Index, Table


class AuditAction(StrEnum):
    """What was done. The part before the dot is the kind of object."""

    REQUEST_SUBMIT = "request.submit"  #: a partner's request was accepted
    JOB_SUBMIT = "job.submit"  #: a job of any type was accepted
    JOB_CANCEL = "job.cancel"  #: a job was stopped
    JOB_CANCEL_TASK = "job.cancel_task"  #: one of its tasks was stopped
    JOB_RETRY = "job.retry"  #: what failed runs again
    JOB_RESUBMIT = "job.resubmit"  #: all of it runs again
    JOB_DELETE = "job.delete"  #: its rows are gone
    JOB_DELETE_ARTIFACTS = "job.delete_artifacts"  #: what it made is gone from the catalogue
    DEAD_LETTER_EDIT = "dead_letter.edit"  #: what runs again was changed
    DEAD_LETTER_REDRIVE = "dead_letter.redrive"  #: it runs again
    DEAD_LETTER_DISCARD = "dead_letter.discard"  #: it was let go
    APPROVAL_APPROVE = "approval.approve"  #: a dataset was published
    APPROVAL_REJECT = "approval.reject"  #: a dataset was refused
    APPROVAL_REVOKE = "approval.revoke"  #: a dataset was withdrawn
    APPROVAL_RESUBMIT = "approval.resubmit"  #: a refused dataset waits for a decision again
    POLICY_CHANGE = "policy.change"  #: who has to approve what
    READERS_CHANGE = "readers.change"  #: who sees the restricted data of a dataset
    RENDER_PUT = "render.put"  #: a way of drawing a COG was written
    RENDER_DELETE = "render.delete"  #: a way of drawing a COG was removed
    STYLE_PUT = "style.put"  #: a way of drawing a feature table was written
    STYLE_DELETE = "style.delete"  #: a way of drawing a feature table was removed
    ARTIFACT_RESTORE = "artifact.restore"  #: a replaced revision was brought back for review
    WEBHOOK_REPLAY = "webhook.replay"  #: an event is sent again
    SERVICE_REGISTER = "service.register"  #: an external service was registered
    SERVICE_UPDATE = "service.update"  #: what is said about it was changed
    SERVICE_DELETE = "service.delete"  #: it was forgotten
    CURATED_REGISTER = "curated.register"  #: a curated dataset was registered
    CURATED_UPDATE = "curated.update"  #: its definition was changed
    CURATED_DELETE = "curated.delete"  #: it was forgotten
    EXTERNAL_INITIALIZE = "external.initialize"  #: a database of somebody else was prepared
    DATABASE_ENSURE = "database.ensure"  #: what the schema lacked was added
    DATABASE_CLEANUP = "database.cleanup"  #: old jobs were archived and dropped
    DATABASE_REBUILD = "database.rebuild"  #: everything was dropped and made anew
    FINDING_DISMISS = "finding.dismiss"  #: something that disagrees may stay so
    REPAIR_UNDO = "repair.undo"  #: something that was mended is as before
    KEY_CREATE = "key.create"  #: an API key was made
    KEY_ROTATE = "key.rotate"  #: an API key was replaced
    KEY_REVOKE = "key.revoke"  #: an API key was withdrawn

    @property
    def object_type(self) -> str:
        """What kind of object it is done to."""
        return self.value.partition(".")[0]


class AuditEntry(Record):
    """One deed. `actor` did it, for `client_id`, having shown `credential`, from `address`."""

    __table__: ClassVar[Table] = Table(
        name="audit_log",
        primary_key=("audit_id",),
        indexes=(
            Index(("object_type", "object_id", "audit_id")),
            Index(("actor", "audit_id")),
            Index(("action", "audit_id")),
            Index(("at",)),
        ),
    )

    audit_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    actor: Annotated[str, Field(min_length=1)]
    client_id: Annotated[str, Field(min_length=1)]
    credential: str
    address: str | None = None
    request_id: str | None = None
    action: Annotated[str, Field(pattern=r"^[a-z_]+[.][a-z_]+$")]
    object_type: str
    object_id: Annotated[str, Field(min_length=1)]
    details: Json
