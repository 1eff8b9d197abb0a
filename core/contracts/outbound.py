"""Calling addresses that somebody else gave us: what may be asked, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Limits:
    """How much of a stranger's answer is taken. `cut` keeps what fits of a longer body; else it is refused."""

    seconds: float = 30.0  #: from the first look-up to the last byte, redirects included
    size: int = 5 << 20  #: bytes of the body, after decompression
    redirects: int = 5
    cut: bool = False


@dataclass(frozen=True)
class Answer:
    """What a server said. Header names are in lower case; `url` is where the last redirect led."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    milliseconds: int

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Outbound(Protocol):
    """Calls to public addresses.

    All raise AddressRefused for one that may not be called, RemoteUnavailable when nothing comes back in time, and
    RemoteAnswerRefused for what is too large or cannot be read. A status of any kind is an answer.
    """

    def check(self, url: str) -> None:
        """Raise AddressRefused when this may not be called, or its host is not known."""
        ...

    def get(self, url: str, limits: Limits = ..., headers: Mapping[str, str] = ...) -> Answer:
        """Read, following redirects; each is checked like the first address."""
        ...

    def save(self, url: str, target: Path, limits: Limits = ..., headers: Mapping[str, str] = ...) -> Answer:
        """Read into a file, which then holds the last answer's body, of whatever status; the answer's is empty."""
        ...

    def post(self, url: str, body: bytes, headers: Mapping[str, str], limits: Limits = ...) -> Answer:
        """Send. A redirect is not followed: it is the answer."""
        ...
