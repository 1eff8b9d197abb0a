"""What can go wrong between a program and the API."""

from __future__ import annotations

from collections.abc import Mapping


class ClientError(Exception):
    """A call did not end well. `hint` says what to do, where that is known."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class Unreachable(ClientError):
    """The API did not answer, however often it was asked."""


class ApiError(ClientError):
    """The API refused. `code` is explained at `/api/errors/{code}`; `request_id` finds the call in the API's log."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        hint = body.get("hint")
        super().__init__(str(body.get("error") or f"HTTP {status}"), str(hint) if hint else None)
        self.status = status
        self.code = str(body.get("code") or status)
        self.error_type = str(body.get("error_type") or "")
        self.request_id = body.get("request_id")
