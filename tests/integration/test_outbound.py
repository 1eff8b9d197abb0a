"""Calls to addresses that strangers chose, against a real server on this machine."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import itertools
import ssl
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.contracts.outbound import Limits
from core.errors import AddressRefused, RemoteAnswerRefused, RemoteUnavailable
from infrastructure.outbound import AddressRules, GuardedClient
from tests.support.remote import LOOPBACK, Remote, Says, serving


def client(tls: ssl.SSLContext | None = None, **hosts: Sequence[str]) -> GuardedClient:
    """One that may call this machine; `hosts` are names with their addresses, for `_` read `.`."""
    names = {name.replace("_", "."): found for name, found in hosts.items()}
    rules = AddressRules([ipaddress.ip_network(LOOPBACK)], resolve=lambda host, _: names.get(host, [host]))
    return GuardedClient(rules, tls=tls)


def test_without_leave_this_machine_is_not_called(remote: Remote) -> None:
    for url in (remote.url, f"http://localhost:{remote.port}", f"http://[::ffff:127.0.0.1]:{remote.port}"):
        with pytest.raises(AddressRefused):
            GuardedClient(AddressRules()).get(url)
        with pytest.raises(AddressRefused):
            GuardedClient(AddressRules()).post(url, b"{}", {})
        with pytest.raises(AddressRefused):
            GuardedClient(AddressRules()).check(url)
    assert remote.asked == []


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "017700000001", "127.1"])
def test_odd_spellings_of_this_machine_are_seen_through(remote: Remote, spelling: str) -> None:
    with pytest.raises((AddressRefused, RemoteUnavailable)):
        GuardedClient(AddressRules()).get(f"http://{spelling}:{remote.port}/")
    assert remote.asked == []


def test_a_redirect_into_a_closed_network_is_not_followed(remote: Remote) -> None:
    remote.serves({"/": Says(status=302, headers={"Location": "http://inside.example/secret"})})
    with pytest.raises(AddressRefused):
        client(inside_example=["10.0.0.5"]).get(remote.url + "/")
    remote.serves({"/": Says(status=302, headers={"Location": "file:///etc/passwd"})})
    with pytest.raises(AddressRefused):
        client().get(remote.url + "/")


def test_redirects_are_followed_so_far_and_carry_no_credential_to_strangers(remote: Remote) -> None:
    routes = {
        "/a": Says(status=301, headers={"Location": "/b"}),
        "/b": Says(status=307, headers={"Location": f"http://other.example:{remote.port}/c"}),
        "/c": Says(b"here"),
    }
    remote.serves(routes)
    answer = client(other_example=["127.0.0.1"]).get(remote.url + "/a", headers={"Authorization": "Bearer x"})
    assert (answer.status, answer.body, answer.url) == (200, b"here", f"http://other.example:{remote.port}/c")
    assert [asked.headers.get("authorization") for asked in remote.asked] == ["Bearer x", "Bearer x", None]
    with pytest.raises(RemoteAnswerRefused):
        client(other_example=["127.0.0.1"]).get(remote.url + "/a", Limits(redirects=1))


def test_the_address_that_was_judged_is_the_one_that_is_called(remote: Remote) -> None:
    remote.serves({"/": Says(b"ours")})
    turns = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    rules = AddressRules([ipaddress.ip_network(LOOPBACK)], resolve=lambda *_: next(turns))
    answer = GuardedClient(rules).get(f"http://rebinding.example:{remote.port}/")
    assert answer.body == b"ours"
    assert remote.asked[0].headers["host"] == f"rebinding.example:{remote.port}"


def test_the_next_address_is_tried_where_one_does_not_answer(remote: Remote) -> None:
    remote.serves({"/": Says(b"second")})
    assert client(two_example=["127.9.9.9", "127.0.0.1"]).get(f"http://two.example:{remote.port}/").body == b"second"


def test_a_body_beyond_the_limit_is_refused_or_cut(remote: Remote) -> None:
    remote.serves({"/": Says(b"x" * 5000)})
    with pytest.raises(RemoteAnswerRefused):
        client().get(remote.url + "/", Limits(size=4999))
    assert client().get(remote.url + "/", Limits(size=4999, cut=True)).body == b"x" * 4999
    assert len(client().get(remote.url + "/", Limits(size=5000)).body) == 5000


def test_a_body_that_is_saved_is_the_last_answers_and_bounded_likewise(remote: Remote, tmp_path: Path) -> None:
    packed = Says(gzip.compress(b"x" * 5000), headers={"Content-Encoding": "gzip"})
    moved = Says(b"It is elsewhere, and this is a long way to say so." * 200, 302, {"Location": "/there"})
    remote.serves({"/": moved, "/there": packed})
    target = tmp_path / "saved"
    answer = client().save(remote.url + "/", target, Limits(size=10000))
    assert (answer.status, answer.body, answer.url) == (200, b"", remote.url + "/there")
    assert target.read_bytes() == b"x" * 5000
    with pytest.raises(RemoteAnswerRefused):
        client().save(remote.url + "/there", target, Limits(size=4999))


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_bomb_is_not_unpacked_further_than_the_limit(remote: Remote, encoding: str, packed: object) -> None:
    bomb = packed(bytes(64 << 20))  # type: ignore[operator]
    remote.serves({"/": Says(bomb, headers={"Content-Encoding": encoding})})
    assert len(bomb) < 1 << 18
    with pytest.raises(RemoteAnswerRefused):
        client().get(remote.url + "/", Limits(size=1 << 20))
    remote.serves({"/": Says(packed(b"text" * 9), headers={"Content-Encoding": encoding})})  # type: ignore[operator]
    assert client().get(remote.url + "/").body == b"text" * 9


def test_what_cannot_be_decompressed_is_refused(remote: Remote) -> None:
    garbage, cut_off = Says(b"?" * 99, headers={"Content-Encoding": "gzip"}), gzip.compress(b"text")[:-3]
    remote.serves(
        {
            "/br": Says(b"?", headers={"Content-Encoding": "br"}),
            "/garbage": garbage,
            "/cut": Says(cut_off, headers={"Content-Encoding": "gzip"}),
        }
    )
    for path in ("/br", "/garbage", "/cut"):
        with pytest.raises(RemoteAnswerRefused):
            client().get(remote.url + path)


def test_a_server_that_drips_gets_no_more_time_than_a_silent_one(remote: Remote) -> None:
    remote.answer = lambda _: Says(pieces=itertools.repeat(b"x"), wait=0.05)
    with pytest.raises(RemoteUnavailable):
        client().get(remote.url + "/", Limits(seconds=0.5))
    remote.answer = lambda _: Says(b"late", wait=60)
    with pytest.raises(RemoteUnavailable):
        client().get(remote.url + "/", Limits(seconds=0.5))


def test_a_server_that_is_away_is_an_outage() -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(RemoteUnavailable):
        client().get(url)


def test_a_post_arrives_whole_and_its_redirect_is_the_answer(remote: Remote) -> None:
    remote.serves({"/hook": Says(b"no", status=302, headers={"Location": "/elsewhere"})})
    answer = client().post(
        remote.url + "/hook?a=1", b'{"x":1}', {"X-Signature": "abc", "Content-Type": "application/json"}
    )
    (asked,) = remote.asked
    assert (asked.method, asked.body, asked.query) == ("POST", b'{"x":1}', {"a": "1"})
    assert (asked.headers["x-signature"], asked.headers["content-length"]) == ("abc", "7")
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")


def test_a_certificate_must_be_for_the_name_not_for_the_address(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "good.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(server) as remote:
        remote.serves({"/": Says(b"secret")})
        both = client(trusting, good_example=["127.0.0.1"], bad_example=["127.0.0.1"])
        assert both.get(f"https://good.example:{remote.port}/").body == b"secret"
        with pytest.raises(RemoteUnavailable):
            both.get(f"https://bad.example:{remote.port}/")
        with pytest.raises(RemoteUnavailable):
            client(good_example=["127.0.0.1"]).get(f"https://good.example:{remote.port}/")


def make_certificate(folder: Path, name: str) -> Path:
    """A key and a certificate of its own for this name, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
