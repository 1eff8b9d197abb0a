"""A small HTTP client for addresses that strangers chose."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpcore

from config import OutboundSettings
from core.contracts.outbound import Answer, Limits
from core.errors import AddressRefused, RemoteAnswerRefused, RemoteUnavailable
from core.version import VERSION
from infrastructure.outbound.addresses import AddressRules
from infrastructure.outbound.bodies import ENCODINGS, save, take
from infrastructure.outbound.transport import Deadline, GuardedBackend

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STANDARD = Limits()


class GuardedClient:
    """Implements `core.contracts.outbound.Outbound`. Thread-safe: every call has its own connections."""

    def __init__(self, rules: AddressRules, *, tls: ssl.SSLContext | None = None) -> None:
        self._rules = rules
        self._tls = tls

    def check(self, url: str) -> None:
        """Raise AddressRefused when this may not be called, RemoteUnavailable when the host is not known."""
        parts = self._rules.parts(url)
        assert parts.hostname is not None  # `parts` refuses a URL without one
        self._rules.addresses(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))

    def get(self, url: str, limits: Limits = _STANDARD, headers: Mapping[str, str] | None = None) -> Answer:
        """Read, following redirects."""
        return self._follow(url, limits, headers, None)

    def save(
        self, url: str, target: Path, limits: Limits = _STANDARD, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Read into a file, following redirects."""
        return self._follow(url, limits, headers, target)

    def _follow(self, url: str, limits: Limits, headers: Mapping[str, str] | None, target: Path | None) -> Answer:
        deadline, given = Deadline(limits.seconds), dict(headers or {})
        for _ in range(limits.redirects + 1):
            answer = self._ask("GET", url, given, None, limits, deadline, target)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            following = urljoin(url, location)
            if urlsplit(following)[:2] != urlsplit(url)[:2]:
                given = {name: value for name, value in given.items() if name.lower() != "authorization"}
            url = following
        raise RemoteAnswerRefused(f"More than {limits.redirects} redirects.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], limits: Limits = _STANDARD) -> Answer:
        """Send. A redirect is not followed: it is the answer."""
        return self._ask("POST", url, headers, body, limits, Deadline(limits.seconds))

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: Limits,
        deadline: Deadline,
        target: Path | None = None,
    ) -> Answer:
        self._rules.parts(url)
        sent = {"User-Agent": f"geomachine/{VERSION}", "Accept": "*/*", "Accept-Encoding": ENCODINGS, **headers}
        backend = GuardedBackend(self._rules, deadline)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool,
                pool.stream(method, _plain(url), headers=_encoded(sent), content=body) as response,
            ):
                received = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
                encoding = received.get("content-encoding", "").strip().lower()
                content = b""
                if target is None:
                    content = take(response.iter_stream(), encoding, limits)
                else:
                    save(response.iter_stream(), encoding, limits, target)
        except httpcore.UnsupportedProtocol as e:
            raise RemoteAnswerRefused(f"The server's answer cannot be read: {e}.") from e
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as e:
            raise RemoteUnavailable(f"The server did not answer as it should: {e or type(e).__name__}.") from e
        return Answer(response.status, received, content, url, deadline.elapsed_ms())


def _plain(url: str) -> httpcore.URL:
    """In ASCII: names in punycode, the rest percent-encoded; the fragment stays here."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as e:
        raise AddressRefused(f"{url[:200]!r} is not an address: {e}.") from None
    return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def from_settings(settings: OutboundSettings) -> GuardedClient:
    """The client of a process."""
    return GuardedClient(AddressRules([ipaddress.ip_network(text) for text in settings.networks]))
