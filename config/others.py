"""Settings of what belongs to others: whom we call, write to, read from and prepare."""

from __future__ import annotations

import ipaddress
import re

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from config.base import BASE

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class AdfSettings(BaseSettings):
    """The Data Factory that takes public data out once it is approved; none unless all three names are given."""

    model_config = BASE

    subscription_id: str | None = Field(None, alias="ADF_SUBSCRIPTION_ID", pattern=r"^[0-9A-Za-z-]+$")
    resource_group: str | None = Field(None, alias="ADF_RESOURCE_GROUP", pattern=r"^[\w.()-]+$")
    factory_name: str | None = Field(None, alias="ADF_FACTORY_NAME", pattern=r"^[0-9A-Za-z-]+$")
    blob_pipeline: str = Field("blob_internal_to_external", alias="ADF_BLOB_PIPELINE_NAME", pattern=r"^[\w -]+$")
    vector_pipeline: str = Field(
        "Postgresql_internal_to_external", alias="ADF_VECTOR_PIPELINE_NAME", pattern=r"^[\w -]+$"
    )
    endpoint: str = Field("https://management.azure.com", alias="ADF_ENDPOINT")

    @model_validator(mode="after")
    def _whole(self) -> AdfSettings:
        names = (self.subscription_id, self.resource_group, self.factory_name)
        if any(names) and not all(names):
            raise ValueError("Set ADF_SUBSCRIPTION_ID, ADF_RESOURCE_GROUP and ADF_FACTORY_NAME, or none of them.")
        return self

    @property
    def configured(self) -> bool:
        """True when a factory is named."""
        return self.factory_name is not None


class WebhookSettings(BaseSettings):
    """Events sent to partners. Each client's secret is derived from this one."""

    model_config = BASE

    secret: SecretStr | None = Field(None, alias="WEBHOOK_SECRET", min_length=16)


class OutboundSettings(BaseSettings):
    """Whom this system may call when somebody gives it an address: registered services and webhooks."""

    model_config = BASE

    allowed_networks: str = Field("", alias="OUTBOUND_ALLOWED_NETWORKS")

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for text in value.replace(",", " ").split():
            ipaddress.ip_network(text)
        return value

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that may be called although they are not public."""
        return tuple(self.allowed_networks.replace(",", " ").split())


class ExternalServiceSettings(BaseSettings):
    """How services of others are checked, and who is told when one goes away."""

    model_config = BASE

    check_seconds: float = Field(10.0, alias="SERVICE_CHECK_SECONDS", gt=0, le=60)
    batch: int = Field(16, alias="SERVICE_CHECK_BATCH", ge=1, le=200)
    #: Addresses of chat rooms and workflows hold the key to them.
    alert_url: SecretStr | None = Field(None, alias="SERVICE_ALERT_URL")

    @field_validator("alert_url")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.match(r"https?://[^/?#@\s]+", value.get_secret_value()):
            raise ValueError("it is not an address that starts with http:// or https://.")
        return value


class CuratedSettings(BaseSettings):
    """How much is read from the sources of curated datasets."""

    model_config = BASE

    check_seconds: float = Field(30.0, alias="CURATED_CHECK_SECONDS", gt=0, le=300)
    download_seconds: float = Field(1800.0, alias="CURATED_DOWNLOAD_SECONDS", gt=0, le=14000)
    max_mb: int = Field(2048, alias="CURATED_MAX_MB", ge=1)


class ExternalDatabaseSettings(BaseSettings):
    """Which databases of others may be prepared. Without a user, the managed identity of the request logs in."""

    model_config = BASE

    allowed_hosts: str = Field("", alias="EXTERNAL_DB_ALLOWED_HOSTS")
    port: int = Field(5432, alias="EXTERNAL_DB_PORT", ge=1, le=65535)
    user: str | None = Field(None, alias="EXTERNAL_DB_USER")
    password: SecretStr | None = Field(None, alias="EXTERNAL_DB_PASSWORD")
    sslmode: str = Field("require", alias="EXTERNAL_DB_SSLMODE", pattern="^(disable|require|verify-ca|verify-full)$")

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for text in value.lower().replace(",", " ").split():
            if not _HOST.fullmatch(text):
                raise ValueError(f"{text!r} is neither a host name nor `*.` and the end of one.")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ExternalDatabaseSettings:
        if self.password is not None and self.user is None:
            raise ValueError("EXTERNAL_DB_PASSWORD is set but EXTERNAL_DB_USER is not: say whose password it is.")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names, or `*.` and the end of them, in lower case."""
        return tuple(self.allowed_hosts.lower().replace(",", " ").split())
