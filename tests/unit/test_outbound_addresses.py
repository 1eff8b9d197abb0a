"""Which addresses may be called on somebody's word?"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from core.errors import AddressRefused, RemoteUnavailable
from infrastructure.outbound.addresses import AddressRules

#: RFC 6890 and its successors, and where clouds hand out credentials.
CLOSED = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1", "not-an-address",
]  # fmt: skip
OPEN = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", CLOSED)
def test_addresses_that_are_not_public_stay_closed(address: str) -> None:
    assert not AddressRules().permits(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str) -> None:
    assert AddressRules().permits(address)


def test_an_operator_opens_a_network_but_never_the_metadata_in_it() -> None:
    rules = AddressRules([ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("169.254.0.0/16")])
    assert rules.permits("10.1.2.3") and rules.permits("::ffff:10.1.2.3") and rules.permits("169.254.1.1")
    assert not rules.permits("10.2.0.1")
    assert not rules.permits("169.254.169.254") and not rules.permits("::ffff:169.254.169.254")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "http://", "//example.com/", "example.com",
        "http://user:secret@example.com/", "http://user@example.com/", "http://example.com:99999/", "http://[::1",
        "http://example.com/\r\nHost: inside", "http://exa mple.com/",
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused_without_looking_it_up(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        AddressRules(resolve=_nothing_may_be_looked_up).parts(url)
    assert "secret" not in str(refused.value)


def test_one_private_address_condemns_the_name() -> None:
    rules = AddressRules(resolve=lambda host, port: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(AddressRefused) as refused:
        rules.addresses("two-faced.example", 80)
    assert "10.0.0.1" not in str(refused.value)


def test_a_name_without_an_address_is_an_outage_not_a_refusal() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(RemoteUnavailable):
        AddressRules(resolve=unknown).addresses("nowhere.example", 80)


def _nothing_may_be_looked_up(host: str, port: int) -> Sequence[str]:
    raise AssertionError(host)
