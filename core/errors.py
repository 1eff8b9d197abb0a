"""Every error Geomachine raises, what may be done about it and by whom.

GeomachineError
├── RequestError                  the caller's request
│   ├── InvalidRequest            VALIDATION_ERROR
│   ├── UnknownJobType            UNKNOWN_JOB_TYPE
│   ├── NotFound                  NOT_FOUND
│   ├── Conflict                  CONFLICT
│   │   ├── CallInProgress        CALL_IN_PROGRESS
│   │   ├── ApprovalFailed        APPROVAL_FAILED
│   │   └── RevocationFailed      REVOCATION_FAILED
│   ├── Unauthenticated           UNAUTHENTICATED
│   ├── Forbidden                 FORBIDDEN
│   ├── AddressRefused            ADDRESS_REFUSED
│   ├── RateLimited               RATE_LIMITED
│   ├── NotAcceptable             NOT_ACCEPTABLE
│   └── PayloadTooLarge           PAYLOAD_TOO_LARGE
├── DataError                     the dataset itself; trying again cannot help
│   ├── SourceNotFound            SOURCE_NOT_FOUND
│   ├── UnreadableSource          UNREADABLE_SOURCE
│   ├── UnsupportedFormat         UNSUPPORTED_FORMAT
│   ├── AmbiguousLayer            AMBIGUOUS_LAYER
│   ├── CrsMissing                CRS_MISSING
│   ├── CrsMismatch               CRS_MISMATCH
│   ├── RasterTypeMismatch        RASTER_TYPE_MISMATCH
│   ├── InvalidRaster             INVALID_RASTER
│   ├── MixedCollection           MIXED_COLLECTION
│   ├── InvalidGeometry           INVALID_GEOMETRY
│   ├── NoFeatures                NO_FEATURES
│   ├── ColumnsMissing            COLUMNS_MISSING
│   ├── SchemaMismatch            SCHEMA_MISMATCH
│   ├── DuplicateKey              DUPLICATE_KEY
│   ├── TargetExists              TARGET_EXISTS
│   └── RemoteAnswerRefused       REMOTE_ANSWER_REFUSED
├── TransientError                the same attempt may succeed later
│   ├── DatabaseUnavailable       DATABASE_UNAVAILABLE
│   ├── StorageUnavailable        STORAGE_UNAVAILABLE
│   ├── QueueUnavailable          QUEUE_UNAVAILABLE
│   ├── RemoteUnavailable         REMOTE_UNAVAILABLE
│   └── IdentityUnavailable       IDENTITY_UNAVAILABLE
├── ResourceError                 a bigger worker may succeed
│   ├── OutOfMemory               OUT_OF_MEMORY
│   ├── TaskTimeout               TASK_TIMEOUT
│   ├── WorkerCrashed             WORKER_CRASHED
│   └── LeaseExpired              LEASE_EXPIRED
├── ConfigurationError            CONFIGURATION_ERROR
├── ContractViolation             CONTRACT_VIOLATION, a defect in a job or handler
├── InjectedFailure               INJECTED_FAILURE, asked for by a test parameter
├── CollectionChanged             COLLECTION_CHANGED, another job wrote to the collection meanwhile
├── TargetChanged                 TARGET_CHANGED, somebody else changed the table meanwhile
├── StaleAttempt                  STALE_ATTEMPT, another worker holds the task now
└── Interrupted                   INTERRUPTED, the handler stopped because it was asked to
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class ErrorKind(Enum):
    """What repeating the same work can achieve."""

    TRANSIENT = "transient"  #: may pass by itself
    RESOURCE = "resource"  #: may pass with more memory or time
    PERMANENT = "permanent"  #: fails the same way for ever


class FixedBy(Enum):
    """Who can make the error go away."""

    CALLER = "caller"  #: send another request or another file
    OPERATOR = "operator"  #: change settings, capacity or permissions
    RETRY = "retry"  #: nobody has to act
    DEVELOPER = "developer"  #: change the code


class GeomachineError(Exception):
    """Something went wrong in Geomachine.

    The error catalogue and docs/reference/errors.md are made from `cause` and `fix`; nothing else says them.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    cause: ClassVar[str] = "a defect"
    fix: ClassVar[str] = "report it with the `request_id`"
    kind: ClassVar[ErrorKind] = ErrorKind.PERMANENT
    fixed_by: ClassVar[FixedBy] = FixedBy.DEVELOPER

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class RequestError(GeomachineError):
    """The request cannot be carried out as it stands."""

    code = "REQUEST_ERROR"
    cause = "any other request that cannot be carried out"
    fix = "read the message"
    fixed_by = FixedBy.CALLER


class InvalidRequest(RequestError):
    """The request is malformed."""

    code = "VALIDATION_ERROR"
    cause = "a field is missing, unknown or malformed"
    fix = "the message names it; `/api/interface/swagger` describes all"


class UnknownJobType(RequestError):
    """No job of that type exists."""

    code = "UNKNOWN_JOB_TYPE"
    cause = "no job type of that name"
    fix = "the hint lists them"


class NotFound(RequestError):
    """Nothing exists under that identifier."""

    code = "NOT_FOUND"
    cause = "no request, job, approval or route of that id"
    fix = "check the id"


class Conflict(RequestError):
    """The object is not in a state that allows this."""

    code = "CONFLICT"
    cause = "the object's state forbids this: decided already, still running, made from another file"
    fix = "the message says which; new `version_id` or `overwrite` for data"


class CallInProgress(Conflict):
    """A call with the same Idempotency-Key has no answer yet; `retry_after` is in seconds."""

    code = "CALL_IN_PROGRESS"
    cause = "a call with the same `Idempotency-Key` has no answer yet"
    fix = "send it again as `Retry-After` says: it gets the first one's answer"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY
    retry_after: ClassVar[int] = 3


class ApprovalFailed(Conflict):
    """The record is not in a state in which this can be decided."""

    code = "APPROVAL_FAILED"
    cause = "the record is not in the state that the decision needs"
    fix = "the message says which; its history says why"


class RevocationFailed(Conflict):
    """The record is not approved, so nothing can be revoked."""

    code = "REVOCATION_FAILED"
    cause = "only what is approved can be revoked"
    fix = "the message says how it stands"


class Unauthenticated(RequestError):
    """The request carries no valid credential."""

    code = "UNAUTHENTICATED"
    cause = "no API key, or a wrong one"
    fix = "send `X-API-Key`; `./geomachine key` prints the local one"


class Forbidden(RequestError):
    """The credential does not carry the role this needs."""

    code = "FORBIDDEN"
    cause = "the key lacks the role"
    fix = "the hint names the role"


class AddressRefused(RequestError):
    """The address is not one that this system calls."""

    code = "ADDRESS_REFUSED"
    cause = "the address is private, has another scheme than http(s), or carries a password"
    fix = "give a public address; an operator can open a network with `OUTBOUND_ALLOWED_NETWORKS`"


class RateLimited(RequestError):
    """The caller sends more requests than it may; `retry_after` is in seconds."""

    code = "RATE_LIMITED"
    cause = "more requests than the caller may send"
    fix = "wait as `Retry-After` says; limits are settings"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY

    def __init__(self, message: str | None = None, *, hint: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class NotAcceptable(RequestError):
    """None of the encodings asked for is offered."""

    code = "NOT_ACCEPTABLE"
    cause = "the Accept header allows none of the encodings there are"
    fix = "the hint lists them"


class PayloadTooLarge(RequestError):
    """The input is larger than the configured limit."""

    code = "PAYLOAD_TOO_LARGE"
    cause = "body or source file above its limit"
    fix = "upload files to storage; limits are settings"


class DataError(GeomachineError):
    """The dataset cannot be processed as it is."""

    code = "DATA_ERROR"
    cause = "any other fault of the dataset"
    fix = "read the message"
    fixed_by = FixedBy.CALLER


class SourceNotFound(DataError):
    """The source file does not exist in its container."""

    code = "SOURCE_NOT_FOUND"
    cause = "no such blob in that container"
    fix = "upload it, or correct container and path"


class UnreadableSource(DataError):
    """The source file cannot be opened or read."""

    code = "UNREADABLE_SOURCE"
    cause = "empty, damaged or not what its extension says"
    fix = "upload a good file"


class UnsupportedFormat(DataError):
    """No reader handles this kind of file."""

    code = "UNSUPPORTED_FORMAT"
    cause = "no reader for this kind of file"
    fix = "convert it; the hint lists known extensions"


class AmbiguousLayer(DataError):
    """The file holds several layers and none was named."""

    code = "AMBIGUOUS_LAYER"
    cause = "several layers and none named"
    fix = "set `layer_name`"


class CrsMissing(DataError):
    """The file states no coordinate reference system and none was given."""

    code = "CRS_MISSING"
    cause = "the file states no CRS"
    fix = "set `input_crs`"


class CrsMismatch(DataError):
    """The file's coordinate reference system contradicts the one given."""

    code = "CRS_MISMATCH"
    cause = "the CRS contradicts the coordinates or the request"
    fix = "correct `input_crs` or the file"


class RasterTypeMismatch(DataError):
    """The raster is not of the declared type."""

    code = "RASTER_TYPE_MISMATCH"
    cause = "the pixels are not of the declared `raster_type`"
    fix = "declare another, or `auto`"


class InvalidRaster(DataError):
    """The raster's content breaks a rule it must keep."""

    code = "INVALID_RASTER"
    cause = "the content breaks a rule, or a warning under `strict_mode`"
    fix = "the message says which rule"


class MixedCollection(DataError):
    """The files are too different to be shown as one collection."""

    code = "MIXED_COLLECTION"
    cause = "files of different types, bands or CRS in one collection"
    fix = "the message names them; give `target_crs`, or submit them apart"


class InvalidGeometry(DataError):
    """A geometry cannot be stored, even after repair."""

    code = "INVALID_GEOMETRY"
    cause = "a geometry cannot be stored, even repaired"
    fix = "mend the feature it names"


class NoFeatures(DataError):
    """The file holds no feature with a geometry."""

    code = "NO_FEATURES"
    cause = "nothing with a geometry in the file"
    fix = "check layer and columns"


class ColumnsMissing(DataError):
    """The table lacks the columns that hold coordinates."""

    code = "COLUMNS_MISSING"
    cause = "coordinate columns not found"
    fix = "set `lat_column` and `lon_column`, or `wkt_column`"


class SchemaMismatch(DataError):
    """The file does not have the columns of the table that its rows shall join."""

    code = "SCHEMA_MISMATCH"
    cause = "`append` or `upsert`, and the file's columns or geometry are not the table's"
    fix = "the message names the columns that differ; `column_mapping` renames"


class DuplicateKey(DataError):
    """The key is empty or not unique."""

    code = "DUPLICATE_KEY"
    cause = "the primary or upsert key is empty in a row, or the same in two"
    fix = "the message names rows; mend them, or choose another key"


class TargetExists(DataError):
    """The output exists already and overwriting was not asked for."""

    code = "TARGET_EXISTS"
    cause = "the output exists"
    fix = "new `version_id`, or `overwrite`"


class RemoteAnswerRefused(DataError):
    """The remote server's answer is too large or cannot be read."""

    code = "REMOTE_ANSWER_REFUSED"
    cause = "a remote server answers too much, in an unknown compression, or with too many redirects"
    fix = "the message says which; give the address of what it should answer"


class TransientError(GeomachineError):
    """A service did not answer as it should; it may later."""

    code = "TRANSIENT_ERROR"
    cause = "another service failed to answer"
    fix = "wait"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY


class DatabaseUnavailable(TransientError):
    """PostgreSQL refused or dropped the connection."""

    code = "DATABASE_UNAVAILABLE"
    cause = "PostgreSQL refused or dropped the connection"
    fix = "wait; then check the server and `DATABASE_URL`"


class StorageUnavailable(TransientError):
    """The object store did not answer."""

    code = "STORAGE_UNAVAILABLE"
    cause = "the object store did not answer, or refused"
    fix = "wait; then check account, container and rights"


class QueueUnavailable(TransientError):
    """The message broker did not answer."""

    code = "QUEUE_UNAVAILABLE"
    cause = "the message broker did not answer"
    fix = "wait"


class RemoteUnavailable(TransientError):
    """The remote server did not answer."""

    code = "REMOTE_UNAVAILABLE"
    cause = "a remote server has no address, or does not answer in time"
    fix = "wait; then check the address"


class IdentityUnavailable(TransientError):
    """The identity provider did not answer, so a token cannot be checked."""

    code = "IDENTITY_UNAVAILABLE"
    cause = "Entra ID's keys could not be read, so a token cannot be checked"
    fix = "wait; then check the network and `ENTRA_TENANT_ID`"


class ResourceError(GeomachineError):
    """The worker was too small for the task."""

    code = "RESOURCE_ERROR"
    cause = "the worker was too small"
    fix = "a bigger worker"
    kind = ErrorKind.RESOURCE
    fixed_by = FixedBy.OPERATOR


class OutOfMemory(ResourceError):
    """The task needed more memory than the worker has."""

    code = "OUT_OF_MEMORY"
    cause = "the task needs more memory than the worker has, or than `WORKER_TASK_MEMORY_MB` allows"
    fix = "a bigger worker, or ceiling"


class TaskTimeout(ResourceError):
    """The task ran longer than it may."""

    code = "TASK_TIMEOUT"
    cause = "the task ran longer than it may"
    fix = "more time, or a worker instead of the Function App"


class WorkerCrashed(ResourceError):
    """The worker process died while it ran the task."""

    code = "WORKER_CRASHED"
    cause = "the worker process died while it ran the task; the message has the signal or exit code"
    fix = "signal 9: more memory; others: a defect in a native library, see the worker's log"


class LeaseExpired(ResourceError):
    """The worker stopped renewing its lease: killed, hung or cut off."""

    code = "LEASE_EXPIRED"
    cause = "the whole worker went silent: killed with its parent, hung, cut off"
    fix = "look at that worker's log and memory"


class ConfigurationError(GeomachineError):
    """A setting is missing or contradicts another."""

    code = "CONFIGURATION_ERROR"
    cause = "a setting is missing or contradicts another"
    fix = "the message names it"
    fixed_by = FixedBy.OPERATOR


class ContractViolation(GeomachineError):
    """A job definition or handler broke its own declaration."""

    code = "CONTRACT_VIOLATION"
    cause = "a job or handler broke its own declaration"
    fix = "report it"


class InjectedFailure(GeomachineError):
    """A failure that the request asked for."""

    code = "INJECTED_FAILURE"
    cause = "`hello_world` was asked to fail"
    fix = "lower `failure_rate`"
    fixed_by = FixedBy.CALLER


class CollectionChanged(GeomachineError):
    """Another job wrote to the collection between reading and writing it."""

    code = "COLLECTION_CHANGED"
    cause = "another job wrote to the collection meanwhile"
    fix = "nothing: it is read again"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY


class TargetChanged(GeomachineError):
    """The table was changed by somebody else while new rows for it were made."""

    code = "TARGET_CHANGED"
    cause = "another job or a reviewer changed the table meanwhile"
    fix = "nothing: it is tried again with what is there now"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY


class StaleAttempt(GeomachineError):
    """Another attempt holds this task now; nothing was written."""

    code = "STALE_ATTEMPT"
    cause = "another attempt holds the task now"
    fix = "nothing: that attempt finishes it"
    fixed_by = FixedBy.RETRY


class Interrupted(GeomachineError):
    """The handler stopped at a checkpoint because it was asked to."""

    code = "INTERRUPTED"
    cause = "the handler stopped at a checkpoint as asked"
    fix = "nothing: it continues later"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY
