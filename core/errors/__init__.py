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

from core.errors.base import (
    ErrorKind,
    FixedBy,
    GeomachineError,
)
from core.errors.callers import (
    AddressRefused,
    ApprovalFailed,
    CallInProgress,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    RevocationFailed,
    Unauthenticated,
    UnknownJobType,
)
from core.errors.data import (
    AmbiguousLayer,
    ColumnsMissing,
    CrsMismatch,
    CrsMissing,
    DataError,
    DuplicateKey,
    InvalidGeometry,
    InvalidRaster,
    MixedCollection,
    NoFeatures,
    RasterTypeMismatch,
    RemoteAnswerRefused,
    SchemaMismatch,
    SourceNotFound,
    TargetExists,
    UnreadableSource,
    UnsupportedFormat,
)
from core.errors.passing import (
    DatabaseUnavailable,
    IdentityUnavailable,
    LeaseExpired,
    OutOfMemory,
    QueueUnavailable,
    RemoteUnavailable,
    ResourceError,
    StorageUnavailable,
    TaskTimeout,
    TransientError,
    WorkerCrashed,
)
from core.errors.work import (
    CollectionChanged,
    ConfigurationError,
    ContractViolation,
    InjectedFailure,
    Interrupted,
    StaleAttempt,
    TargetChanged,
)

__all__ = [
    "AddressRefused",
    "AmbiguousLayer",
    "ApprovalFailed",
    "CallInProgress",
    "CollectionChanged",
    "ColumnsMissing",
    "ConfigurationError",
    "Conflict",
    "ContractViolation",
    "CrsMismatch",
    "CrsMissing",
    "DataError",
    "DatabaseUnavailable",
    "DuplicateKey",
    "ErrorKind",
    "FixedBy",
    "Forbidden",
    "GeomachineError",
    "IdentityUnavailable",
    "InjectedFailure",
    "Interrupted",
    "InvalidGeometry",
    "InvalidRaster",
    "InvalidRequest",
    "LeaseExpired",
    "MixedCollection",
    "NoFeatures",
    "NotAcceptable",
    "NotFound",
    "OutOfMemory",
    "PayloadTooLarge",
    "QueueUnavailable",
    "RasterTypeMismatch",
    "RateLimited",
    "RemoteAnswerRefused",
    "RemoteUnavailable",
    "RequestError",
    "ResourceError",
    "RevocationFailed",
    "SchemaMismatch",
    "SourceNotFound",
    "StaleAttempt",
    "StorageUnavailable",
    "TargetChanged",
    "TargetExists",
    "TaskTimeout",
    "TransientError",
    "Unauthenticated",
    "UnknownJobType",
    "UnreadableSource",
    "UnsupportedFormat",
    "WorkerCrashed",
]
