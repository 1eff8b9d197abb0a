"""Connections that go to a judged address only, and end when time is up."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable

import httpcore
from httpcore import SOCKET_OPTION

from core.errors import RemoteUnavailable
from infrastructure.outbound.addresses import AddressRules


class Deadline:
    """One moment for everything: a server that sends a byte now and then gets no more time than a silent one."""

    def __init__(self, seconds: float) -> None:
        self._start = time.monotonic()
        self._end = self._start + seconds

    def elapsed_ms(self) -> int:
        """Milliseconds since it was set."""
        return round((time.monotonic() - self._start) * 1000)

    def left(self) -> float:
        """Seconds left. Raises RemoteUnavailable when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise RemoteUnavailable("The server did not answer in time.")
        return left


class GuardedBackend(httpcore.NetworkBackend):
    """httpcore's sockets, to addresses that the rules permit."""

    def __init__(self, rules: AddressRules, deadline: Deadline) -> None:
        self._rules = rules
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """To the first of the host's addresses that answers. TLS still asks for the host by its name."""
        addresses = self._rules.addresses(host, port)
        for last, address in enumerate(addresses, start=1 - len(addresses)):
            try:
                stream = self._inner.connect_tcp(address, port, self._deadline.left(), local_address, socket_options)
            except httpcore.ConnectError:
                if last == 0:
                    raise
            else:
                return _Bounded(stream, self._deadline)
        raise AssertionError("a host has an address")  # the rules raise where it has none

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        """Never asked for: URLs name hosts."""
        raise httpcore.UnsupportedProtocol("no sockets of this machine")


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
