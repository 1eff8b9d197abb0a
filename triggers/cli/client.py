"""The command line's way to the API: a local system's or a remote one's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import httpx

from core.errors import DatabaseUnavailable, GeomachineError, InvalidRequest

Json = dict[str, object]


class ApiError(GeomachineError):
    """The API refused the request."""

    code = "API_ERROR"

    def __init__(self, body: Mapping[str, object], status: int) -> None:
        hint = body.get("hint")
        super().__init__(str(body.get("error") or f"HTTP {status}"), hint=str(hint) if hint else None)
        self.remote_code = str(body.get("code") or status)


class Client:
    """Calls the API with a key. Raises ApiError for answers that are errors."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers={"X-API-Key": key}, timeout=60, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | bool) -> Json:
        """GET a JSON object."""
        return self._answer(self._send("GET", path, params=query))

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        """POST a JSON object and read one."""
        return self._answer(self._send("POST", path, json=body))

    def delete(self, path: str) -> Json:
        """DELETE and read a JSON object."""
        return self._answer(self._send("DELETE", path))

    def answers(self, url: str) -> bool:
        """True when an anonymous GET of the link succeeds."""
        try:
            return httpx.get(url, timeout=60, follow_redirects=True, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def picture(self, url: str) -> bytes | None:
        """What an anonymous GET of the link brings, if it is a picture."""
        try:
            answer = httpx.get(url, timeout=60, follow_redirects=True, trust_env=False)
        except httpx.HTTPError:
            return None
        is_picture = answer.headers.get("content-type", "").startswith("image/")
        return answer.content if answer.status_code == 200 and is_picture else None

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait for `/api/readyz`; False when the time is over."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            try:
                if self._http.get("/api/readyz", timeout=5).status_code == 200:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        return False

    def _send(self, method: str, path: str, **arguments: object) -> httpx.Response:
        for wait in (0.2, 0.5, 1.0, 2.0, None):
            try:
                response = self._http.request(method, path, **arguments)  # type: ignore[arg-type]  # httpx's own keywords
            except httpx.TransportError as e:
                if wait is None:
                    hint = "Is the system up? See ./geomachine status."
                    raise DatabaseUnavailable(f"{self.url} does not answer: {e}.", hint=hint) from e
            else:
                if response.status_code != 503 or wait is None:
                    return response
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _answer(self, response: httpx.Response) -> Json:
        try:
            body = response.json()
        except ValueError:
            raise InvalidRequest(f"{response.url} answered {response.status_code} without JSON.") from None
        if response.is_error:
            raise ApiError(body, response.status_code)
        return cast("Json", body)
