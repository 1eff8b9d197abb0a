"""Errors of a request: whoever sent it can send another."""

from __future__ import annotations

from typing import ClassVar

from core.errors.base import ErrorKind, FixedBy, GeomachineError


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
