"""What every error says: what happened, what repeating achieves, and who can mend it."""

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
