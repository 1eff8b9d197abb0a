"""Entra ID tokens, checked against an identity provider that answers over HTTP; and Easy Auth's word."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from config import AuthSettings
from core.contracts.principals import Principal, PrincipalKind
from core.errors import IdentityUnavailable, Unauthenticated
from core.models.access import Role
from infrastructure.auth import Credentials
from infrastructure.auth.entra import EntraTokens
from infrastructure.auth.keys import KeyRing
from infrastructure.auth.signing_keys import SigningKeys
from tests.support.issuer import AUDIENCE, TENANT, Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def settings(issuer: Issuer, **more: object) -> AuthSettings:
    given = {"ENTRA_TENANT_ID": TENANT, "ENTRA_AUDIENCE": AUDIENCE, "ENTRA_AUTHORITY": issuer.url, **more}
    return AuthSettings.model_validate(given)


def identify(issuer: Issuer, token: str) -> Principal:
    found = Credentials(settings(issuer), KeyRing({})).identify({"authorization": f"Bearer {token}"})
    assert found is not None
    return found


def test_a_persons_token_says_who_he_is_and_what_he_may(issuer: Issuer) -> None:
    paula = identify(issuer, issuer.token())
    assert (paula.name, paula.client_id, paula.kind) == ("paula@example.org", "oid-of-paula", PrincipalKind.PERSON)
    assert paula.roles == {Role.PARTNER}


def test_an_applications_token_belongs_to_the_application(issuer: Issuer) -> None:
    token = issuer.token(scp=None, preferred_username=None, oid="service-principal", idtyp="app", roles=["reviewer"])
    found = identify(issuer, token)
    assert (found.client_id, found.kind, found.roles) == ("console-app", PrincipalKind.SERVICE, {Role.REVIEWER})


@pytest.mark.parametrize(
    "changes",
    [
        {"scp": None},
        {"scp": None, "azp": None, "name": "Paula"},
        {"scp": None, "preferred_username": None, "name": "Paula"},
        {"scp": None, "preferred_username": None},
        {"idtyp": "user", "scp": None, "preferred_username": None, "sub": "oid-of-paula"},
    ],
)
def test_a_persons_token_without_scopes_such_as_an_id_token_is_no_services(issuer: Issuer, changes: dict) -> None:
    found = identify(issuer, issuer.token(**changes))
    assert (found.client_id, found.kind) == ("oid-of-paula", PrincipalKind.PERSON)


def test_an_applications_token_of_a_tenant_that_does_not_send_idtyp_is_a_services(issuer: Issuer) -> None:
    found = identify(issuer, issuer.token(scp=None, preferred_username=None, oid="sp", sub="sp"))
    assert (found.client_id, found.kind) == ("console-app", PrincipalKind.SERVICE)


def test_a_token_of_version_1_is_accepted(issuer: Issuer) -> None:
    own = {"scp": None, "preferred_username": None, "oid": "sp", "sub": "sp"}
    token = issuer.token(iss=f"https://sts.windows.net/{TENANT}/", appid="old-app", azp=None, **own)
    assert identify(issuer, token).client_id == "old-app"


@pytest.mark.parametrize(
    ("roles", "meant"),
    [
        (["Geomachine.Admin", "Geomachine.Reviewer"], {Role.ADMIN, Role.REVIEWER}),
        (["ADMIN"], {Role.ADMIN}),
        (["Administrator", "Geomachine.Administrators", "admin "], set()),
        (None, set()),
        ("partner", {Role.PARTNER}),
    ],
)
def test_app_roles_become_roles_and_others_mean_nothing(issuer: Issuer, roles: object, meant: set[Role]) -> None:
    assert identify(issuer, issuer.token(roles=roles)).roles == meant


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "api://other"}, "another application"),
        ({"iss": "https://login.microsoftonline.com/evil/v2.0"}, "another issuer"),
        ({"tid": "99999999-2222-3333-4444-555555555555"}, "another tenant"),
        ({"tid": None}, "another tenant"),
        ({"exp": -120}, "expired"),
        ({"nbf": 120}, "not valid yet"),
        ({"exp": None}, "lacks a claim"),
        ({"aud": None}, "lacks a claim"),
        ({"iss": None}, "lacks a claim"),
        ({"oid": None, "sub": None}, "whom it was issued to"),
    ],
)
def test_a_token_that_is_not_for_us_is_refused_with_the_reason(issuer: Issuer, changes: dict, why: str) -> None:
    # Times are seconds from now: the list above is made long before its tests run.
    told = {name: int(time.time()) + value if isinstance(value, int) else value for name, value in changes.items()}
    with pytest.raises(Unauthenticated, match=why):
        identify(issuer, issuer.token(**told))


def test_clocks_may_differ_by_the_skew(issuer: Issuer) -> None:
    assert identify(issuer, issuer.token(exp=int(time.time()) - 30)).client_id == "oid-of-paula"
    assert identify(issuer, issuer.token(nbf=int(time.time()) + 30)).client_id == "oid-of-paula"


def test_only_rs256_counts_whatever_the_header_says(issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    public = next(iter(issuer.keys.values())).public_key()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    import hashlib
    import hmac

    signature = base64.urlsafe_b64encode(hmac.digest(pem, head + b"." + body, hashlib.sha256)).rstrip(b"=")
    confused = b".".join((head, body, signature)).decode()
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})
    stronger = jwt.encode(claims, next(iter(issuer.keys.values())), algorithm="RS512", headers={"kid": "k1"})
    for token in (confused, unsigned, stronger):
        with pytest.raises(Unauthenticated, match="RS256"):
            identify(issuer, token)


def test_a_token_signed_by_somebody_else_is_refused(issuer: Issuer) -> None:
    token = issuer.token()
    issuer.rotate("k1")
    with pytest.raises(Unauthenticated, match="signature"):
        identify(issuer, token)


@pytest.mark.parametrize("text", ["x", "a.b.c", "e30.e30.", "ey" * 9000, "\u2603.\u2603.\u2603"])
def test_what_is_no_token_is_refused_without_being_quoted(issuer: Issuer, text: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        identify(issuer, text)
    assert len(text) < 5 or text not in str(refused.value)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_keys_are_read_once_and_again_when_the_issuer_changes_them(issuer: Issuer) -> None:
    clock = Clock()
    chosen = settings(issuer)
    tokens = EntraTokens(chosen, SigningKeys(chosen.keys_url, clock))
    for _ in range(3):
        tokens.identify(issuer.token())
    assert issuer.asked == 1
    issuer.rotate("k2")
    clock.now += 31
    assert tokens.identify(issuer.token()).client_id == "oid-of-paula"
    assert issuer.asked == 2


def test_invented_key_ids_do_not_make_us_ask_the_issuer_again_and_again(issuer: Issuer) -> None:
    clock = Clock()
    chosen = settings(issuer)
    tokens = EntraTokens(chosen, SigningKeys(chosen.keys_url, clock))
    tokens.identify(issuer.token())
    clock.now += 31
    for number in range(20):
        with pytest.raises(Unauthenticated, match="does not publish"):
            tokens.identify(issuer.token(headers={"kid": f"invented-{number}"}))
    assert issuer.asked == 2


def test_an_issuer_that_is_away_stops_nobody_whose_key_is_known(issuer: Issuer) -> None:
    clock = Clock()
    chosen = settings(issuer)
    tokens = EntraTokens(chosen, SigningKeys(chosen.keys_url, clock))
    tokens.identify(issuer.token())
    issuer.up = False
    clock.now += 24 * 3600
    assert tokens.identify(issuer.token()).client_id == "oid-of-paula"


def test_a_slow_issuer_keeps_nobody_waiting_whose_key_is_known(issuer: Issuer) -> None:
    clock = Clock()
    chosen = settings(issuer)
    tokens = EntraTokens(chosen, SigningKeys(chosen.keys_url, clock))
    old, before = issuer.token(), issuer.asked
    tokens.identify(old)
    issuer.keys["k2"] = issuer.keys["k1"]
    clock.now += 31
    issuer.open.clear()
    with ThreadPoolExecutor(2) as threads:
        asking = threads.submit(tokens.identify, issuer.token(headers={"kid": "k2"}))
        while issuer.asked == before + 1:
            assert not asking.done()
        try:
            assert threads.submit(tokens.identify, old).result(3).client_id == "oid-of-paula"
            assert not asking.done()
        finally:
            issuer.open.set()
        assert asking.result().client_id == "oid-of-paula"


def test_before_keys_were_ever_read_a_token_is_not_wrong_but_uncheckable(issuer: Issuer) -> None:
    issuer.up = False
    with pytest.raises(IdentityUnavailable):
        identify(issuer, issuer.token())


def test_without_a_tenant_no_token_is_accepted(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated, match="not accepted"):
        Credentials(AuthSettings(), KeyRing({})).identify({"authorization": f"Bearer {issuer.token()}"})


def easy(**claims: str) -> dict[str, str]:
    body = {"auth_typ": "aad", "role_typ": "roles", "claims": [{"typ": k, "val": v} for k, v in claims.items()]}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(body).encode()).decode()}


PAULA = {"oid": "oid-of-paula", "tid": TENANT, "preferred_username": "paula@example.org", "roles": "Geomachine.Admin"}


def test_easy_auth_is_ignored_unless_the_platform_is_trusted(issuer: Issuer) -> None:
    assert Credentials(settings(issuer), KeyRing({})).identify(easy(**PAULA)) is None
    trusted = Credentials(settings(issuer, EASY_AUTH_TRUSTED=True), KeyRing({})).identify(easy(**PAULA))
    assert trusted is not None
    assert (trusted.name, trusted.client_id, trusted.roles) == ("paula@example.org", "oid-of-paula", {Role.ADMIN})
    assert trusted.kind is PrincipalKind.PERSON


def test_a_person_whom_easy_auth_does_not_name_is_no_service(issuer: Issuer) -> None:
    headers = easy(oid="oid-of-paula", sub="pairwise", tid=TENANT, azp="console-app", roles="partner")
    found = Credentials(settings(issuer, EASY_AUTH_TRUSTED=True), KeyRing({})).identify(headers)
    assert found is not None
    assert (found.client_id, found.kind) == ("oid-of-paula", PrincipalKind.PERSON)


@pytest.mark.parametrize(
    "headers",
    [
        easy(**{**PAULA, "tid": "another"}),
        easy(tid=TENANT, roles="admin"),
        {"x-ms-client-principal": "%%%"},
        {"x-ms-client-principal": base64.b64encode(b"[]").decode()},
        {"x-ms-client-principal": base64.b64encode(b"[" * 100_000).decode()},
    ],
)
def test_easy_auths_word_is_refused_when_it_names_nobody_of_the_tenant(issuer: Issuer, headers: dict) -> None:
    with pytest.raises(Unauthenticated):
        Credentials(settings(issuer, EASY_AUTH_TRUSTED=True), KeyRing({})).identify(headers)


def test_an_application_that_easy_auth_vouches_for_is_a_service(issuer: Issuer) -> None:
    headers = easy(oid="sp", tid=TENANT, azp="console-app", roles="partner")
    found = Credentials(settings(issuer, EASY_AUTH_TRUSTED=True), KeyRing({})).identify(headers)
    assert found is not None
    assert (found.client_id, found.kind) == ("console-app", PrincipalKind.SERVICE)
