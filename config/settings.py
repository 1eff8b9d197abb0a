"""The settings classes. Nothing outside this package reads the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_type_hints

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from config.base import BASE
from config.others import (
    AdfSettings,
    CuratedSettings,
    ExternalDatabaseSettings,
    ExternalServiceSettings,
    OutboundSettings,
    WebhookSettings,
)
from core.errors import ConfigurationError

_ADDRESS = r"^https?://[^/?#@\s]+(/[^?#\s]*)?$"
_KEY_FIRST = re.compile(r"InstrumentationKey=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(;|$)", re.IGNORECASE)
_GUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


class AppMode(StrEnum):
    """Which roles this process switches on."""

    STANDALONE = "standalone"  #: HTTP, tasks and timers
    PLATFORM = "platform_only"  #: HTTP only
    WORKER = "worker_docker"  #: tasks only


class LogLevel(StrEnum):
    """Which lines a process writes: these and graver."""

    DEBUG = "DEBUG"  #: everything
    INFO = "INFO"  #: what happens
    WARNING = "WARNING"  #: what went wrong and is being mended
    ERROR = "ERROR"  #: what went wrong

    @classmethod
    def _missing_(cls, value: object) -> LogLevel | None:
        return cls.__members__.get(str(value).upper())


class AppSettings(BaseSettings):
    """Who this process is."""

    model_config = BASE

    mode: AppMode = Field(AppMode.STANDALONE, alias="APP_MODE")
    name: str = Field("geomachine", alias="APP_NAME")
    environment: str = Field("dev", alias="ENVIRONMENT")
    azure_site: str | None = Field(None, alias="WEBSITE_SITE_NAME")
    azure_container_app: str | None = Field(None, alias="CONTAINER_APP_NAME")
    log_level: LogLevel = Field(LogLevel.INFO, alias="LOG_LEVEL")
    home: Path = Field(Path(".local"), alias="GEOMACHINE_HOME")

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def development(self) -> bool:
        """True where test-only conveniences are allowed; never where Azure says that it runs us."""
        on_azure = self.azure_site or self.azure_container_app
        return not on_azure and self.environment.lower() in ("dev", "development", "test")


class DatabaseSettings(BaseSettings):
    """How to reach PostgreSQL. DATABASE_URL wins; else POSTGIS_*; else the embedded cluster."""

    model_config = BASE

    url: SecretStr | None = Field(None, alias="DATABASE_URL")
    host: str | None = Field(None, alias="POSTGIS_HOST")
    port: int = Field(5432, alias="POSTGIS_PORT")
    name: str | None = Field(None, alias="POSTGIS_DATABASE")
    user: str | None = Field(None, alias="POSTGIS_USER")
    password: SecretStr | None = Field(None, alias="POSTGIS_PASSWORD")
    managed_identity: bool = Field(False, alias="USE_MANAGED_IDENTITY")
    managed_identity_client_id: str | None = Field(None, alias="DB_ADMIN_MANAGED_IDENTITY_CLIENT_ID")
    connect_timeout: int = Field(30, alias="DB_CONNECTION_TIMEOUT", ge=1)
    idle_transaction: int = Field(60, alias="DB_IDLE_TRANSACTION_SECONDS", ge=1)
    pool_min: int = Field(1, alias="DOCKER_DB_POOL_MIN", ge=0)
    pool_max: int = Field(10, alias="DOCKER_DB_POOL_MAX", ge=1)

    @model_validator(mode="after")
    def _complete(self) -> DatabaseSettings:
        if self.url is None and self.host is not None:
            missing = [n for n, v in (("POSTGIS_DATABASE", self.name), ("POSTGIS_USER", self.user)) if not v]
            if missing:
                raise ValueError(f"POSTGIS_HOST is set but {', '.join(missing)} is not: set them or DATABASE_URL.")
            if not self.managed_identity and self.password is None:
                raise ValueError("POSTGIS_HOST needs POSTGIS_PASSWORD or USE_MANAGED_IDENTITY=true.")
        if self.pool_min > self.pool_max:
            raise ValueError("DOCKER_DB_POOL_MIN is larger than DOCKER_DB_POOL_MAX.")
        return self

    @property
    def embedded(self) -> bool:
        """True when nothing names a server, so the private cluster is used."""
        return self.url is None and self.host is None


class StorageSettings(BaseSettings):
    """Where blobs live: an Azure account per zone, one connection string, or a local folder."""

    model_config = BASE

    root: Path | None = Field(None, alias="GEOMACHINE_STORAGE_ROOT")
    connection_string: SecretStr | None = Field(None, alias="AZURE_STORAGE_CONNECTION_STRING")
    bronze_account: str | None = Field(None, alias="BRONZE_STORAGE_ACCOUNT")
    silver_account: str | None = Field(None, alias="SILVER_STORAGE_ACCOUNT")
    silverext_account: str | None = Field(None, alias="SILVEREXT_STORAGE_ACCOUNT")
    gold_account: str | None = Field(None, alias="GOLD_STORAGE_ACCOUNT")
    managed_identity_client_id: str | None = Field(None, alias="AZURE_CLIENT_ID")

    @model_validator(mode="after")
    def _one_kind(self) -> StorageSettings:
        accounts = (self.bronze_account, self.silver_account)
        if any(accounts) and not all(accounts):
            raise ValueError("Set both BRONZE_STORAGE_ACCOUNT and SILVER_STORAGE_ACCOUNT, or neither.")
        if self.root and (self.connection_string or any(accounts)):
            raise ValueError("GEOMACHINE_STORAGE_ROOT contradicts the Azure storage settings: keep one.")
        if self.connection_string and any(accounts):
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING contradicts *_STORAGE_ACCOUNT: keep one.")
        return self

    @property
    def azure(self) -> bool:
        """True when blobs live in Azure."""
        return self.connection_string is not None or self.bronze_account is not None


class QueueSettings(BaseSettings):
    """How open work reaches workers."""

    model_config = BASE

    transport: str = Field("postgres", alias="QUEUE_TRANSPORT", pattern="^(postgres|servicebus)$")
    lease_seconds: float = Field(60.0, alias="TASK_LEASE_SECONDS", gt=0)
    retry_base_seconds: float = Field(5.0, alias="TASK_RETRY_BASE_DELAY", ge=0)
    retry_max_seconds: float = Field(300.0, alias="TASK_RETRY_MAX_DELAY", ge=0)


class ServiceBusSettings(BaseSettings):
    """Which Service Bus, and its queues. The Functions host reads the connection under the same names."""

    model_config = BASE

    namespace: str | None = Field(None, alias="ServiceBusConnection__fullyQualifiedNamespace")
    connection_string: SecretStr | None = Field(None, alias="ServiceBusConnection")
    managed_identity_client_id: str | None = Field(None, alias="ServiceBusConnection__clientId")
    jobs_queue: str = Field("geospatial-jobs", alias="SERVICE_BUS_JOBS_QUEUE")
    raster_queue: str = Field("raster-tasks", alias="SERVICE_BUS_RASTER_QUEUE")
    vector_queue: str = Field("vector-tasks", alias="SERVICE_BUS_VECTOR_QUEUE")
    long_queue: str = Field("long-running-tasks", alias="SERVICE_BUS_LONG_RUNNING_QUEUE")
    resend_seconds: float = Field(600.0, alias="SERVICE_BUS_RESEND_SECONDS", gt=0)
    lock_renewal_seconds: float = Field(86400.0, alias="SERVICE_BUS_LOCK_RENEWAL_SECONDS", gt=0)
    emulator_admin_port: int = Field(5300, alias="SERVICE_BUS_EMULATOR_ADMIN_PORT", ge=1, le=65535)

    @model_validator(mode="after")
    def _one_connection(self) -> ServiceBusSettings:
        if self.namespace and self.connection_string:
            raise ValueError(
                "ServiceBusConnection contradicts ServiceBusConnection__fullyQualifiedNamespace: keep one."
            )
        names = (self.jobs_queue, self.raster_queue, self.vector_queue, self.long_queue)
        if len({name.lower() for name in names}) != len(names):
            raise ValueError("Two of the SERVICE_BUS_*_QUEUE settings name the same queue.")
        return self

    @property
    def emulator(self) -> bool:
        """True when the connection string is that of an emulator, without TLS and with a known key."""
        text = self.connection_string.get_secret_value() if self.connection_string else ""
        return "usedevelopmentemulator=true" in text.lower().replace(" ", "")


class WorkerSettings(BaseSettings):
    """What a worker takes and how much of the machine it may use."""

    model_config = BASE

    processes: int | None = Field(None, alias="WORKER_PROCESSES", ge=1, le=64)
    batch: int = Field(100, alias="WORKER_BATCH", ge=1, le=1000)
    poll_seconds: float = Field(1.0, alias="WORKER_POLL_SECONDS", gt=0)
    grace_seconds: float = Field(25.0, alias="WORKER_GRACE_SECONDS", gt=0)
    task_memory_mb: int = Field(0, alias="WORKER_TASK_MEMORY_MB", ge=0)
    health_port: int = Field(0, alias="WORKER_HEALTH_PORT", ge=0, le=65535)


class TelemetrySettings(BaseSettings):
    """Who collects traces and metrics, and how many jobs are traced."""

    model_config = BASE

    application_insights: SecretStr | None = Field(None, alias="APPLICATIONINSIGHTS_CONNECTION_STRING")
    otlp_endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=_ADDRESS)
    sample_ratio: float = Field(1.0, alias="TELEMETRY_SAMPLE_RATIO", ge=0.0, le=1.0)
    metrics_key: SecretStr | None = Field(None, alias="METRICS_KEY", min_length=16)

    @field_validator("application_insights")
    @classmethod
    def _has_key(cls, value: SecretStr | None) -> SecretStr | None:
        parts = value.get_secret_value().split(";") if value else []
        if value and not any(_KEY_FIRST.match(part.strip()) for part in parts):
            raise ValueError("it has no InstrumentationKey. Copy the whole of it from the resource's overview.")
        return value

    @property
    def traced_jobs(self) -> float:
        """The part of all jobs that is traced; 0 where nobody collects."""
        return self.sample_ratio if self.application_insights or self.otlp_endpoint else 0.0


class RetentionSettings(BaseSettings):
    """How long ended jobs are kept: first with every task and event, then as one row each."""

    model_config = BASE

    archive_days: float = Field(30.0, alias="JOB_ARCHIVE_DAYS", gt=0, le=36500)
    drop_days: float = Field(365.0, alias="JOB_DROP_DAYS", gt=0, le=36500)

    @model_validator(mode="after")
    def _in_order(self) -> RetentionSettings:
        if self.drop_days < self.archive_days:
            raise ValueError(
                "JOB_DROP_DAYS is smaller than JOB_ARCHIVE_DAYS: jobs are archived before they are dropped."
            )
        return self


class PlatformSettings(BaseSettings):
    """What partners may send."""

    model_config = BASE

    primary_client: str = Field("ddh", alias="PLATFORM_PRIMARY_CLIENT")
    worker: bool = Field(True, alias="DOCKER_WORKER_ENABLED")
    docker_above_mb: int = Field(2000, alias="RASTER_ROUTE_DOCKER_MB", ge=0)
    vector_docker_above_mb: int = Field(500, alias="VECTOR_ROUTE_DOCKER_MB", ge=0)
    max_source_mb: int = Field(8000, alias="RASTER_ROUTE_REJECT_MB", ge=1)
    tiled_max_mb: int = Field(30_000, alias="RASTER_TILED_MAX_MB", ge=1)
    collection_file_mb: int = Field(1200, alias="RASTER_ROUTE_LARGE_MB", ge=1)
    collection_files: int = Field(200, alias="RASTER_COLLECTION_MAX_FILES", ge=2, le=1000)
    max_vector_mb: int = Field(2048, alias="VECTOR_MAX_MB", ge=1)
    preview_mb: int = Field(256, alias="PLATFORM_PREVIEW_MB", ge=0)
    max_raster_pixels: int = Field(4_000_000_000, alias="RASTER_MAX_PIXELS", ge=1)


class ApprovalSettings(BaseSettings):
    """What it takes to publish where no policy is stored, and how long replaced revisions are kept."""

    model_config = BASE

    allow_self: bool = Field(False, alias="APPROVAL_ALLOW_SELF")
    keep_days: float = Field(30.0, alias="ARTIFACT_KEEP_DAYS", ge=0, le=36500)


class AuthSettings(BaseSettings):
    """Which credentials are accepted beside API keys. Without a tenant no token is."""

    model_config = BASE

    #: A token names its tenant by this id and never by a domain.
    tenant: Annotated[str, StringConstraints(to_lower=True, pattern=_GUID)] | None = Field(
        None, alias="ENTRA_TENANT_ID"
    )
    audience: str | None = Field(None, alias="ENTRA_AUDIENCE")
    authority: str = Field(
        "https://login.microsoftonline.com", alias="ENTRA_AUTHORITY", pattern=r"^https?://[^/?#@\s]+$"
    )
    clock_skew: float = Field(60.0, alias="ENTRA_CLOCK_SKEW_SECONDS", ge=0, le=300)
    easy_auth: bool = Field(False, alias="EASY_AUTH_TRUSTED")

    @model_validator(mode="after")
    def _complete(self) -> AuthSettings:
        if self.tenant and not self.audiences:
            raise ValueError("ENTRA_TENANT_ID is set but ENTRA_AUDIENCE is not: say which tokens are meant for us.")
        if self.easy_auth and not self.tenant:
            raise ValueError("EASY_AUTH_TRUSTED is set but ENTRA_TENANT_ID is not: people of any tenant could log in.")
        return self

    @property
    def audiences(self) -> tuple[str, ...]:
        """What a token's `aud` may be: the application id, or its URI."""
        return tuple(part for part in (self.audience or "").replace(",", " ").split() if part)

    @property
    def issuers(self) -> tuple[str, ...]:
        """What a token's `iss` may be; Entra ID's older tokens name another."""
        return (f"{self.authority}/{self.tenant}/v2.0", f"https://sts.windows.net/{self.tenant}/")

    @property
    def keys_url(self) -> str:
        """Where the tenant's signing keys are."""
        return f"{self.authority}/{self.tenant}/discovery/v2.0/keys"


class ConsistencySettings(BaseSettings):
    """How the catalogue is compared with itself, and what is mended without being asked."""

    model_config = BASE

    grace_minutes: float = Field(60.0, alias="CONSISTENCY_GRACE_MINUTES", ge=0)
    repair: bool = Field(True, alias="CONSISTENCY_REPAIR")
    repair_limit: int = Field(100, alias="CONSISTENCY_REPAIR_LIMIT", ge=1, le=1000)
    cooldown_minutes: int = Field(60, alias="CONSISTENCY_REPAIR_COOLDOWN_MINUTES", ge=0)
    containers: str = Field("silver-cogs", alias="CONSISTENCY_CONTAINERS", pattern=r"^[a-z0-9, -]*$")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Containers that are listed although no record names them."""
        return tuple(self.containers.replace(",", " ").split())


class ServerSettings(BaseSettings):
    """The HTTP side: address, public URL, the operator's key, and limits."""

    model_config = BASE

    host: str = Field("127.0.0.1", alias="GEOMACHINE_BIND")
    port: int = Field(7071, alias="GEOMACHINE_PORT", ge=1, le=65535)
    public_url: str | None = Field(None, alias="ETL_APP_URL", pattern=_ADDRESS)
    admin_key: SecretStr | None = Field(None, alias="GEOMACHINE_KEY")
    max_body_mb: int = Field(10, alias="HTTP_MAX_BODY_MB", ge=1)
    max_json_depth: int = Field(64, alias="HTTP_MAX_JSON_DEPTH", ge=4, le=200)
    rate: float = Field(50.0, alias="RATE_LIMIT_PER_SECOND", ge=0)
    burst: int = Field(500, alias="RATE_LIMIT_BURST", ge=1)
    public_rate: float = Field(50.0, alias="RATE_LIMIT_PUBLIC_PER_SECOND", ge=0)
    public_burst: int = Field(1000, alias="RATE_LIMIT_PUBLIC_BURST", ge=1)
    proxies: int = Field(0, alias="HTTP_TRUSTED_PROXIES", ge=0, le=10)
    cors_origins: str = Field("", alias="HTTP_CORS_ORIGINS")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Whose pages may call us."""
        return tuple(part.strip().rstrip("/") for part in self.cors_origins.split(",") if part.strip())


class ClientSettings(BaseSettings):
    """Which system the command line talks to; without a URL, the local one."""

    model_config = BASE

    url: str | None = Field(None, alias="GEOMACHINE_URL")


@dataclass(frozen=True)
class Settings:
    """All of them."""

    app: AppSettings
    database: DatabaseSettings
    storage: StorageSettings
    queue: QueueSettings
    service_bus: ServiceBusSettings
    worker: WorkerSettings
    retention: RetentionSettings
    platform: PlatformSettings
    approvals: ApprovalSettings
    server: ServerSettings
    auth: AuthSettings
    outbound: OutboundSettings
    webhooks: WebhookSettings
    adf: AdfSettings
    external_services: ExternalServiceSettings
    external_databases: ExternalDatabaseSettings
    curated: CuratedSettings
    consistency: ConsistencySettings
    client: ClientSettings
    telemetry: TelemetrySettings

    def __post_init__(self) -> None:
        if not self.app.development and not self.auth.authority.startswith("https://"):
            raise ConfigurationError(
                "ENTRA_AUTHORITY is not an https address: signing keys read over http could be anybody's.",
                hint="Leave it out for Entra ID's own, or set ENVIRONMENT=dev on a developer's machine.",
            )
        bus = self.service_bus
        if bus.emulator and not self.app.development:
            raise ConfigurationError(
                "ServiceBusConnection is that of an emulator (UseDevelopmentEmulator=true) outside development.",
                hint="Set ServiceBusConnection__fullyQualifiedNamespace, or ENVIRONMENT=dev on a developer's machine.",
            )
        if self.queue.transport == "servicebus" and not (bus.namespace or bus.connection_string):
            raise ConfigurationError(
                "QUEUE_TRANSPORT=servicebus, and nothing says which Service Bus.",
                hint="Set ServiceBusConnection__fullyQualifiedNamespace or ServiceBusConnection.",
            )


def load() -> Settings:
    """Read and check everything. Raises ConfigurationError with one sentence per problem."""
    read: dict[str, BaseSettings] = {}
    problems: list[str] = []
    for name, kind in get_type_hints(Settings).items():
        try:
            read[name] = kind()
        except ValidationError as e:
            problems += map(_sentence, e.errors(include_input=False))
    if problems:
        raise ConfigurationError("; ".join(problems))
    return Settings(**read)  # type: ignore[arg-type]  # each is what its hint says


def _sentence(problem: ErrorDetails) -> str:
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "too_short":  # of a secret, whose characters Pydantic calls items
        said = f"It needs {problem['ctx']['min_length']} characters or more."
    return ": ".join((*map(str, problem["loc"]), said))
