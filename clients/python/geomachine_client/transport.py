"""Sending requests: with a credential, again when that is safe and may help, errors as exceptions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

import httpx

from .errors import ApiError, ClientError, Unreachable

Json = dict[str, Any]

_WAITS = (0.2, 0.5, 1.0, 2.0)
_LONGEST_WAIT = 30.0
_SAFE = frozenset({"GET", "PUT", "DELETE"})


class Transport:
    """JSON over HTTP. `again` marks a POST that may be sent twice without doing its work twice."""

    def __init__(self, http: httpx.Client, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self._sleep = sleep

    def get(self, path: str, **query: object) -> Json:
        """GET a JSON object; parameters that are None are left out."""
        return self._call("GET", path, params=_given(query))

    def report(self, path: str) -> Json:
        """GET a JSON object that comes with 503 when what it tells of is down."""
        return self._call("GET", path, also=503)

    def post(self, path: str, body: Mapping[str, object] | None = None, *, again: bool = False) -> Json:
        """POST a JSON object and read one."""
        return self._call("POST", path, again=again, json=None if body is None else dict(body))

    def post_once(self, path: str, body: Mapping[str, object]) -> Json:
        """POST with an Idempotency-Key: however often it has to be sent, it is carried out once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._call("POST", path, again=True, json=dict(body), headers=headers)

    def put(self, path: str, body: Mapping[str, object]) -> Json:
        """PUT a JSON object and read one."""
        return self._call("PUT", path, json=dict(body))

    def delete(self, path: str, **query: object) -> Json:
        """DELETE and read a JSON object."""
        return self._call("DELETE", path, params=_given(query))

    def _call(self, method: str, path: str, *, again: bool = False, also: int | None = None, **arguments: Any) -> Json:
        response = self._send(method, path, again=again or method in _SAFE, also=also, **arguments)
        try:
            body = response.json()
        except ValueError:
            raise ClientError(f"{response.url} answered {response.status_code} without JSON.") from None
        if response.is_error and response.status_code != also:
            raise ApiError(response.status_code, body if isinstance(body, Mapping) else {})
        return cast("Json", body)

    def _send(self, method: str, path: str, *, again: bool, also: int | None, **arguments: Any) -> httpx.Response:
        for wait in (*_WAITS, None):
            try:
                response = self.http.request(method, path, **arguments)
            except httpx.TransportError as e:
                # What never arrived may be sent again; what may have arrived only if twice is once.
                arrived = not isinstance(e, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
                if wait is None or (arrived and not again):
                    raise Unreachable(f"{self.http.base_url} does not answer: {e}.") from e
                self._sleep(wait)
                continue
            if response.status_code == also or not _to_repeat(response) or wait is None:
                return response
            self._sleep(_asked_wait(response, wait))
        raise AssertionError("unreachable")


def _to_repeat(response: httpx.Response) -> bool:
    """True when the API is busy, or still at work on the same call."""
    return response.status_code in (429, 503) or (response.status_code == 409 and "retry-after" in response.headers)


def _asked_wait(response: httpx.Response, wait: float) -> float:
    asked = response.headers.get("retry-after", "")
    return min(max(float(asked), wait), _LONGEST_WAIT) if asked.isdecimal() else wait


def _given(query: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
