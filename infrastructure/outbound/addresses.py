"""Which addresses may be called? Public ones, and the networks that a setting names.

A name is resolved once and the connection goes to exactly the address that was judged: a name server that gives
another answer the second time ("DNS rebinding") gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from core.errors import AddressRefused, RemoteUnavailable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

#: They hand credentials to whoever asks from inside; no setting opens them. The second is Azure's, and looks public.
_NEVER = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HINT = "Give a public address. An operator can allow a network with OUTBOUND_ALLOWED_NETWORKS."


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, in the order in which the system would try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressRules:
    """Judges URLs and addresses."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        schemes: frozenset[str] = frozenset({"http", "https"}),
        resolve: Resolve = resolve,
    ) -> None:
        self._allowed = tuple(allowed)
        self._schemes = schemes
        self._resolve = resolve

    def parts(self, url: str) -> SplitResult:
        """The URL's parts. Raises AddressRefused for another scheme, no host, or a password in it."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as e:
            raise AddressRefused(f"{url[:200]!r} is not an address: {e}.") from None
        if parts.scheme not in self._schemes:
            wanted = " or ".join(sorted(self._schemes))
            raise AddressRefused(f"The scheme of {url[:200]!r} may not be called.", hint=f"Use {wanted}.")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused(
                "The address carries a user or password, which would be stored and logged.", hint="Leave it out."
            )
        if not parts.hostname or any(ord(c) < 33 or ord(c) == 127 for c in url):
            raise AddressRefused(f"{url[:200]!r} has no host, or characters that no address has.")
        return parts

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host; one that may not be called condemns it. Raises RemoteUnavailable, AddressRefused."""
        try:
            found = list(self._resolve(host, port))
        except (OSError, UnicodeError) as e:
            raise RemoteUnavailable(f"The host {host[:200]!r} has no address: {e}.") from e
        if not found:
            raise RemoteUnavailable(f"The host {host[:200]!r} has no address.")
        for text in found:
            if not self.permits(text):
                # Without the address: which names exist inside is nobody's business.
                raise AddressRefused(f"The host {host[:200]!r} is not at a public address.", hint=_HINT)
        return found

    def permits(self, text: str) -> bool:
        """Whether this address may be called, by what it stands for where it wraps another."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return all(self._permitted(each) for each in (address, *_wrapped(address)))

    def _permitted(self, address: Address) -> bool:
        if address in _NEVER:
            return False
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        inner = bool(_wrapped(address))  # judged by itself; the wrapping is no network of its own
        return inner or (address.is_global and not address.is_multicast and not address.is_reserved)


def _wrapped(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()
