"""Every error Geomachine raises, what may be done about it and by whom.

GeomachineError
├── RequestError                  the caller's request
│   ├── InvalidRequest            VALIDATION_ERROR
│   ├── UnknownJobType            UNKNOWN_JOB_TYPE
│   ├── NotFound                  NOT_FOUND
│   ├── Conflict                  CONFLICT
│   │   ├── ApprovalFailed        APPROVAL_FAILED
│   │   └── RevocationFailed      REVOCATION_FAILED
│   ├── Unauthenticated           UNAUTHENTICATED
│   ├── Forbidden                 FORBIDDEN
│   ├── RateLimited               RATE_LIMITED
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
│   └── TargetExists              TARGET_EXISTS
├── TransientError                the same attempt may succeed later
│   ├── DatabaseUnavailable       DATABASE_UNAVAILABLE
│   ├── StorageUnavailable        STORAGE_UNAVAILABLE
│   ├── QueueUnavailable          QUEUE_UNAVAILABLE
│   ├── TargetChanged             TARGET_CHANGED
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
    """Something went wrong in Geomachine."""

    code: ClassVar[str] = "INTERNAL_ERROR"
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
    fixed_by = FixedBy.CALLER


class InvalidRequest(RequestError):
    """The request is malformed."""

    code = "VALIDATION_ERROR"


class UnknownJobType(RequestError):
    """No job of that type exists."""

    code = "UNKNOWN_JOB_TYPE"


class NotFound(RequestError):
    """Nothing exists under that identifier."""

    code = "NOT_FOUND"


class Conflict(RequestError):
    """The object is not in a state that allows this."""

    code = "CONFLICT"


class ApprovalFailed(Conflict):
    """The record is not in a state in which this can be decided."""

    code = "APPROVAL_FAILED"


class RevocationFailed(Conflict):
    """The record is not approved, so nothing can be revoked."""

    code = "REVOCATION_FAILED"


class Unauthenticated(RequestError):
    """The request carries no valid credential."""

    code = "UNAUTHENTICATED"


class Forbidden(RequestError):
    """The credential does not carry the role this needs."""

    code = "FORBIDDEN"


class RateLimited(RequestError):
    """The caller sends more requests than it may; `retry_after` is in seconds."""

    code = "RATE_LIMITED"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY

    def __init__(self, message: str | None = None, *, hint: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class PayloadTooLarge(RequestError):
    """The input is larger than the configured limit."""

    code = "PAYLOAD_TOO_LARGE"


class DataError(GeomachineError):
    """The dataset cannot be processed as it is."""

    code = "DATA_ERROR"
    fixed_by = FixedBy.CALLER


class SourceNotFound(DataError):
    """The source file does not exist in its container."""

    code = "SOURCE_NOT_FOUND"


class UnreadableSource(DataError):
    """The source file cannot be opened or read."""

    code = "UNREADABLE_SOURCE"


class UnsupportedFormat(DataError):
    """No reader handles this kind of file."""

    code = "UNSUPPORTED_FORMAT"


class AmbiguousLayer(DataError):
    """The file holds several layers and none was named."""

    code = "AMBIGUOUS_LAYER"


class CrsMissing(DataError):
    """The file states no coordinate reference system and none was given."""

    code = "CRS_MISSING"


class CrsMismatch(DataError):
    """The file's coordinate reference system contradicts the one given."""

    code = "CRS_MISMATCH"


class RasterTypeMismatch(DataError):
    """The raster is not of the declared type."""

    code = "RASTER_TYPE_MISMATCH"


class InvalidRaster(DataError):
    """The raster's content breaks a rule it must keep."""

    code = "INVALID_RASTER"


class MixedCollection(DataError):
    """The files are too different to be shown as one collection."""

    code = "MIXED_COLLECTION"


class InvalidGeometry(DataError):
    """A geometry cannot be stored, even after repair."""

    code = "INVALID_GEOMETRY"


class NoFeatures(DataError):
    """The file holds no feature with a geometry."""

    code = "NO_FEATURES"


class ColumnsMissing(DataError):
    """The table lacks the columns that hold coordinates."""

    code = "COLUMNS_MISSING"


class SchemaMismatch(DataError):
    """The file does not have the columns of the table that its rows shall join."""

    code = "SCHEMA_MISMATCH"


class DuplicateKey(DataError):
    """The key is empty or not unique."""

    code = "DUPLICATE_KEY"


class TargetExists(DataError):
    """The output exists already and overwriting was not asked for."""

    code = "TARGET_EXISTS"


class TransientError(GeomachineError):
    """A service did not answer as it should; it may later."""

    code = "TRANSIENT_ERROR"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY


class DatabaseUnavailable(TransientError):
    """PostgreSQL refused or dropped the connection."""

    code = "DATABASE_UNAVAILABLE"


class StorageUnavailable(TransientError):
    """The object store did not answer."""

    code = "STORAGE_UNAVAILABLE"


class QueueUnavailable(TransientError):
    """The message broker did not answer."""

    code = "QUEUE_UNAVAILABLE"


class TargetChanged(TransientError):
    """The table was changed by somebody else while new rows for it were made."""

    code = "TARGET_CHANGED"


class IdentityUnavailable(TransientError):
    """The identity provider did not answer, so a token cannot be checked."""

    code = "IDENTITY_UNAVAILABLE"


class ResourceError(GeomachineError):
    """The worker was too small for the task."""

    code = "RESOURCE_ERROR"
    kind = ErrorKind.RESOURCE
    fixed_by = FixedBy.OPERATOR


class OutOfMemory(ResourceError):
    """The task needed more memory than the worker has."""

    code = "OUT_OF_MEMORY"


class TaskTimeout(ResourceError):
    """The task ran longer than it may."""

    code = "TASK_TIMEOUT"


class WorkerCrashed(ResourceError):
    """The worker process died while it ran the task."""

    code = "WORKER_CRASHED"


class LeaseExpired(ResourceError):
    """The worker stopped renewing its lease: killed, hung or cut off."""

    code = "LEASE_EXPIRED"


class ConfigurationError(GeomachineError):
    """A setting is missing or contradicts another."""

    code = "CONFIGURATION_ERROR"
    fixed_by = FixedBy.OPERATOR


class ContractViolation(GeomachineError):
    """A job definition or handler broke its own declaration."""

    code = "CONTRACT_VIOLATION"


class InjectedFailure(GeomachineError):
    """A failure that the request asked for."""

    code = "INJECTED_FAILURE"
    fixed_by = FixedBy.CALLER


class CollectionChanged(GeomachineError):
    """Another job wrote to the collection between reading and writing it."""

    code = "COLLECTION_CHANGED"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY


class StaleAttempt(GeomachineError):
    """Another attempt holds this task now; nothing was written."""

    code = "STALE_ATTEMPT"
    fixed_by = FixedBy.RETRY


class Interrupted(GeomachineError):
    """The handler stopped at a checkpoint because it was asked to."""

    code = "INTERRUPTED"
    kind = ErrorKind.TRANSIENT
    fixed_by = FixedBy.RETRY
