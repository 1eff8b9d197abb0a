"""Do the links that the API gives out answer to a stranger?"""

from __future__ import annotations

import httpx


def answers(url: str) -> bool:
    """True when an anonymous GET of the link succeeds."""
    return _get(url) is not None


def picture(url: str) -> bytes | None:
    """What an anonymous GET of the link brings, if it is a picture."""
    found = _get(url)
    return found.content if found and found.headers.get("content-type", "").startswith("image/") else None


def _get(url: str) -> httpx.Response | None:
    try:
        answer = httpx.get(url, timeout=60, follow_redirects=True, trust_env=False)
    except httpx.HTTPError:
        return None
    return answer if answer.status_code == 200 else None
