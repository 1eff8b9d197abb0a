"""What version of a file does its source have, and has it another one now?"""

from __future__ import annotations

from collections.abc import Mapping

_ETAG, _MODIFIED, _CONTENT = "etag ", "modified ", "sha256 "


def stated(headers: Mapping[str, str]) -> str | None:
    """The version that a server states: its ETag, else its Last-Modified; None where it states neither."""
    if etag := headers.get("etag"):
        return f"{_ETAG}{etag}"
    if modified := headers.get("last-modified"):
        return f"{_MODIFIED}{modified}"
    return None


def of_blob(etag: str) -> str:
    """The version of a blob."""
    return f"{_ETAG}{etag}"


def of_content(sha256: str) -> str:
    """The version of a file whose source states none."""
    return f"{_CONTENT}{sha256}"


def condition(version: str | None) -> dict[str, str]:
    """Headers by which a server answers 304 where it still has that version."""
    if version is not None and version.startswith(_ETAG):
        return {"If-None-Match": version.removeprefix(_ETAG)}
    if version is not None and version.startswith(_MODIFIED):
        return {"If-Modified-Since": version.removeprefix(_MODIFIED)}
    return {}
