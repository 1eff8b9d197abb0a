"""Errors that may pass: by themselves, or with more memory or time."""

from __future__ import annotations

from core.errors.base import ErrorKind, FixedBy, GeomachineError


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
