"""Azure storage accounts: which one holds a zone, and how to be let in."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from obstore.store import AzureStore

from config.settings import StorageSettings
from core.contracts.storage import AccessTier, BlobName
from core.errors import ConfigurationError
from infrastructure.storage.failures import unavailable

if TYPE_CHECKING:
    import httpx
    from azure.core.credentials import TokenCredential
    from obstore.store import AzureBearerToken, RetryConfig

_SCOPE = "https://storage.azure.com/.default"
_REST_VERSION = "2023-11-03"
# For one request, which moves a piece at most; obstore's 30 s would fail on a slow line.
_TIMEOUT = timedelta(minutes=3)
_RETRY: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(minutes=1)}


class Account(Protocol):
    """One storage account."""

    @property
    def name(self) -> str:
        """The account's name in Azure."""
        ...

    def connect(self, container: str) -> AzureStore:
        """A client of one container. Opens no connection yet."""
        ...

    def create(self, container: str) -> None:
        """Make the container, or raise StorageUnavailable; nothing happens when it exists."""
        ...

    def set_tier(self, name: BlobName, tier: AccessTier) -> None:
        """Move a blob to an access tier, or raise StorageUnavailable; twice is as good as once."""
        ...

    def gdal_options(self) -> Mapping[str, str]:
        """The credential as GDAL wants it."""
        ...


class Identity:
    """The Entra ID identity of this process, or the developer's own."""

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id

    @cached_property
    def _credential(self) -> TokenCredential:
        from azure.identity import DefaultAzureCredential  # 0.3 s, and never needed with a connection string

        return DefaultAzureCredential(managed_identity_client_id=self._client_id)

    def token(self) -> tuple[str, datetime]:
        """A bearer token for blobs and when it expires. The credential keeps it until shortly before that."""
        token = self._credential.get_token(_SCOPE)
        return token.token, datetime.fromtimestamp(token.expires_on, UTC)


@dataclass(frozen=True)
class IdentityAccount:
    """An account that lets the process in by its identity."""

    name: str
    endpoint: str
    identity: Identity = field(repr=False)

    def connect(self, container: str) -> AzureStore:
        """A client that asks for a token when its last one runs out."""
        return AzureStore(
            container,
            account_name=self.name,
            endpoint=self.endpoint,
            credential_provider=self._bearer,
            client_options={"timeout": _TIMEOUT},
            retry_config=_RETRY,
        )

    def create(self, container: str) -> None:
        """Refused: who may read a container is decided by the templates that make it."""
        raise unavailable(
            container,
            f"account {self.name} has no such container",
            "Create it; the infrastructure templates list the containers.",
        )

    def set_tier(self, name: BlobName, tier: AccessTier) -> None:
        """Move the blob to an access tier; the role Storage Blob Data Contributor suffices."""
        import httpx

        url = httpx.URL(f"{self.endpoint}/{name.container}/{quote(name.path)}", params={"comp": "tier"})
        token, _ = self.identity.token()
        headers = {
            "Authorization": f"Bearer {token}",
            "x-ms-version": _REST_VERSION,
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-access-tier": tier.value,
        }
        _succeeded(_sent(url, headers, name), name, f"it could not be made {tier.value}")

    def gdal_options(self) -> Mapping[str, str]:
        """GDAL does not know the identity endpoint of Functions, so it gets a token."""
        token, _ = self.identity.token()
        return {"AZURE_STORAGE_ACCOUNT": self.name, "AZURE_STORAGE_ACCESS_TOKEN": token}

    def _bearer(self) -> AzureBearerToken:
        token, expires_at = self.identity.token()
        return {"token": token, "expires_at": expires_at}


@dataclass(frozen=True)
class KeyAccount:
    """An account that lets in whoever has its key: a developer's own, or the emulator."""

    name: str
    endpoint: str
    key: str = field(repr=False)
    connection_string: str = field(repr=False)

    @classmethod
    def parse(cls, connection_string: str) -> KeyAccount:
        """Read the form that the Azure portal shows and the emulator prints."""
        pairs = (part.partition("=") for part in connection_string.split(";"))
        given = {name.strip().lower(): value.strip() for name, _, value in pairs}
        name, key = given.get("accountname"), given.get("accountkey")
        if not name or not key:
            raise ConfigurationError(
                "AZURE_STORAGE_CONNECTION_STRING has no AccountName or no AccountKey.",
                hint="Copy it from the storage account's access keys, or set BRONZE_STORAGE_ACCOUNT and its like.",
            )
        suffix = given.get("endpointsuffix", "core.windows.net")
        default = f"{given.get('defaultendpointsprotocol', 'https')}://{name}.blob.{suffix}"
        endpoint = given.get("blobendpoint", default).rstrip("/")
        return cls(name, endpoint, key, connection_string)

    def connect(self, container: str) -> AzureStore:
        """A client that signs with the key; plain http only where the endpoint says so."""
        return AzureStore(
            container,
            account_name=self.name,
            account_key=self.key,
            credential_type="access_key",
            endpoint=self.endpoint,
            client_options={"timeout": _TIMEOUT, "allow_http": self.endpoint.startswith("http://")},
            retry_config=_RETRY,
        )

    def create(self, container: str) -> None:
        """Make the container."""
        answer = self._put(container, {"restype": "container"}, {}, container)
        if answer.status_code != HTTPStatus.CONFLICT:
            _succeeded(answer, container, "the container could not be made")

    def set_tier(self, name: BlobName, tier: AccessTier) -> None:
        """Move the blob to an access tier."""
        path = f"{name.container}/{quote(name.path)}"
        answer = self._put(path, {"comp": "tier"}, {"x-ms-access-tier": tier.value}, name)
        _succeeded(answer, name, f"it could not be made {tier.value}")

    def _put(self, path: str, query: Mapping[str, str], extra: Mapping[str, str], subject: object) -> httpx.Response:
        """The REST calls that obstore leaves out, signed with the key."""
        import httpx

        url = httpx.URL(f"{self.endpoint}/{path}", params=dict(query))
        now = format_datetime(datetime.now(UTC), usegmt=True)
        headers = {"x-ms-date": now, "x-ms-version": _REST_VERSION, **extra}
        # Shared Key: verb, eleven empty standard headers, own headers sorted, then the resource and its query.
        own = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        encoded = url.raw_path.decode("ascii").partition("?")[0]
        asked = "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
        text = "PUT" + "\n" * 12 + own + f"/{self.name}{encoded}{asked}"
        digest = hmac.digest(base64.b64decode(self.key), text.encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {self.name}:{base64.b64encode(digest).decode()}"
        return _sent(url, headers, subject)

    def gdal_options(self) -> Mapping[str, str]:
        """The connection string: it also carries the emulator's address."""
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string}


def _sent(url: httpx.URL, headers: Mapping[str, str], subject: object) -> httpx.Response:
    import httpx

    try:
        return httpx.put(url, headers=dict(headers), timeout=30)
    except httpx.HTTPError as e:
        raise unavailable(str(subject), f"the storage account did not answer: {e}".splitlines()[0]) from e


def _succeeded(answer: httpx.Response, subject: object, failed: str) -> None:
    if not answer.is_success:
        code = answer.headers.get("x-ms-error-code", str(answer.status_code))
        raise unavailable(str(subject), f"{failed}: {code}")


def accounts_from_settings(storage: StorageSettings) -> Mapping[str, Account]:
    """The account of each zone that has one."""
    if storage.connection_string:
        account = KeyAccount.parse(storage.connection_string.get_secret_value())
        return dict.fromkeys(("bronze", "silver", "silverext", "gold"), account)
    identity = Identity(storage.managed_identity_client_id)
    names = {
        "bronze": storage.bronze_account,
        "silver": storage.silver_account,
        "silverext": storage.silverext_account,
        "gold": storage.gold_account,
    }
    return {
        zone: IdentityAccount(name, f"https://{name}.blob.core.windows.net", identity)
        for zone, name in names.items()
        if name
    }
