"""What only Azure can get wrong: credentials, accounts per zone, missing containers, outages."""

import base64
import datetime as dt
import ipaddress
import json
import socket
import time
from collections import namedtuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.settings import StorageSettings
from core.contracts.storage import AccessTier, BlobName
from core.errors import ConfigurationError, ErrorKind, SourceNotFound, StorageUnavailable
from infrastructure.storage import from_settings
from infrastructure.storage.accounts import IdentityAccount, KeyAccount
from infrastructure.storage.azure import AzureStorage

pytest_plugins = ("tests.support.azurite",)

NAME = BlobName("bronze-x", "a.bin")
KEY = base64.b64encode(b"key" * 20).decode()
AccessToken = namedtuple("AccessToken", "token expires_on")


class FakeIdentity:
    """Hands out tokens as Entra ID shapes them; the emulator checks issuer, audience and lifetime only."""

    def __init__(self) -> None:
        self.asked = 0

    def token(self) -> tuple[str, dt.datetime]:
        self.asked += 1
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
            "nbf": now - 60,
            "iat": now - 60,
            "exp": now + 3600,
        }
        parts = ({"alg": "RS256", "typ": "JWT"}, claims, "no signature")
        token = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)
        return token, dt.datetime.fromtimestamp(claims["exp"], dt.UTC)


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1 as two PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(built.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


@pytest.mark.azurite
def test_an_identity_reads_and_writes_with_one_token_but_makes_no_container(azurite, certificate, monkeypatch):
    cert, key = certificate
    options = ("--oauth", "basic", "--cert", str(cert), "--key", str(key))
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with azurite.another(*options, scheme="https") as server:
        identity, by_key = FakeIdentity(), KeyAccount.parse(server.connection_string)
        store = AzureStorage({"bronze": IdentityAccount(by_key.name, server.endpoint, identity)})
        with pytest.raises(StorageUnavailable, match="no such container") as caught:
            store.put(b"x", NAME)
        assert "templates" in caught.value.hint
        by_key.create(NAME.container)
        store.put(b"hello", NAME)
        assert store.read(NAME) == b"hello"
        assert [blob.size for blob in store.list(NAME.container)] == [5]
        assert identity.asked == 1
        store._account(NAME.container).set_tier(NAME, AccessTier.COOL)
        assert store.read(NAME) == b"hello"


def test_each_zone_has_its_account_and_gdal_gets_its_token():
    settings = StorageSettings(bronze_account="inbox", silver_account="results")
    identity = FakeIdentity()
    accounts = {"bronze": IdentityAccount("inbox", "https://inbox.example.org", identity)}
    accounts["silver"] = IdentityAccount("results", "https://results.example.org", identity)
    store = AzureStorage(accounts)
    bronze, silver = store.gdal_options(NAME), store.gdal_options(BlobName("silver-cogs", "a.tif"))
    assert (bronze["AZURE_STORAGE_ACCOUNT"], silver["AZURE_STORAGE_ACCOUNT"]) == ("inbox", "results")
    assert bronze["AZURE_STORAGE_ACCESS_TOKEN"].count(".") == 2
    assert identity.asked == 2
    with pytest.raises(ConfigurationError, match="gold-x") as caught:
        from_settings(settings, settings.root).head(BlobName("gold-x", "a"))
    assert "GOLD_STORAGE_ACCOUNT" in caught.value.hint


@pytest.mark.azurite
def test_a_wrong_key_is_reported_as_refused_access_and_never_shown(azurite):
    connection = azurite.connection_string.replace(KeyAccount.parse(azurite.connection_string).key, KEY)
    store = from_settings(StorageSettings(connection_string=connection), None)
    with pytest.raises(StorageUnavailable, match="refused") as caught:
        store.head(NAME)
    assert "role" in caught.value.hint
    with pytest.raises(StorageUnavailable) as other:
        store.put(b"x", NAME)
    assert KEY not in str(caught.value) + str(other.value) + repr(store._accounts)


@pytest.mark.azurite
def test_the_first_write_makes_the_container_and_a_second_maker_is_content(azurite):
    account = KeyAccount.parse(azurite.connection_string)
    store = AzureStorage({"silver": account})
    name = BlobName("silver-made", "a.bin")
    with pytest.raises(SourceNotFound):
        store.head(name)
    store.put(b"x", name, content_type="image/tiff")
    account.create(name.container)
    assert store.read(name) == b"x"


@pytest.mark.azurite
def test_the_content_type_is_kept(azurite):
    import httpx
    import obstore

    store = from_settings(StorageSettings(connection_string=azurite.connection_string), None)
    name = BlobName("silver-types", "a.tif")
    store.put(b"x" * 100, name, content_type="image/tiff; application=geotiff")
    client = KeyAccount.parse(azurite.connection_string).connect(name.container)
    url = obstore.sign(client, "GET", name.path, expires_in=dt.timedelta(minutes=5))
    assert httpx.get(url).headers["content-type"] == "image/tiff; application=geotiff"


def test_an_outage_is_reported_after_some_tries():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}/account"
        store = AzureStorage({"bronze": KeyAccount("account", endpoint, KEY, "")})
        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match=r"bronze-x/a\.bin") as caught:
            store.head(NAME)
        assert time.monotonic() - began < 60
    assert "\n" not in caught.value.message
    assert caught.value.kind is ErrorKind.TRANSIENT


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        (f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY}", "https://acc.blob.core.windows.net"),
        (
            f"AccountName=acc;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn;",
            "https://acc.blob.core.chinacloudapi.cn",
        ),
        (f"accountname=acc; AccountKey={KEY}; BlobEndpoint=http://h:1/acc/", "http://h:1/acc"),
    ],
)
def test_connection_strings_are_read_as_azure_writes_them(given, endpoint):
    account = KeyAccount.parse(given)
    assert (account.name, account.key, account.endpoint) == ("acc", KEY, endpoint)


@pytest.mark.parametrize("given", ["", "nonsense", "AccountName=acc", f"AccountKey={KEY}"])
def test_a_connection_string_without_name_or_key_is_refused_without_showing_it(given):
    with pytest.raises(ConfigurationError, match="AccountKey") as caught:
        KeyAccount.parse(given)
    assert KEY not in str(caught.value)


@pytest.mark.azurite
@pytest.mark.parametrize("path", ["a.tif", "folder/a b ü+%2B.tif"])
def test_an_upload_is_kept_in_the_access_tier_asked_for(azurite, tmp_path, path):
    from azure.storage.blob import BlobServiceClient

    account = KeyAccount.parse(azurite.connection_string)
    store, name = AzureStorage({"silver": account}), BlobName("silver-tiers", path)
    (tmp_path / "a.tif").write_bytes(b"x" * 100)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for tier in (AccessTier.COOL, AccessTier.HOT):
            stored = store.upload(tmp_path / "a.tif", name, access=tier)
            found = service.get_blob_client(name.container, name.path).get_blob_properties()
            assert (found.blob_tier, found.size) == (tier.value, stored.size)
    with pytest.raises(StorageUnavailable, match="could not be made Cool: BlobNotFound"):
        account.set_tier(BlobName("silver-tiers", "missing.tif"), AccessTier.COOL)
