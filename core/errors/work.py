"""Errors of the system and of work under way: settings, defects, and what somebody else did meanwhile."""

from __future__ import annotations

from core.errors.base import ErrorKind, FixedBy, GeomachineError


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
