"""The composition root: settings in, a running system out. Nothing else connects the parts."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pydantic import JsonValue

import config
from config import ApprovalSettings, PlatformSettings, Settings, SettingWarning
from core.contracts import curated
from core.contracts.context import Sight
from core.contracts.principals import Principal
from core.contracts.services import ALERTS
from core.contracts.storage import ObjectStorage
from core.machine.attempts import Resources
from core.machine.broker import Desk
from core.machine.machine import Callback, CoreMachine
from core.machine.registry import Registry
from core.machine.retries import RetryPolicy
from core.machine.slot import Slot
from core.models.access import Role
from core.models.policies import ApprovalPolicy
from core.once import once
from infrastructure import data_factory, storage
from infrastructure.administration.database import DatabaseAdministration
from infrastructure.auth import Credentials
from infrastructure.auth.keys import KeyRing
from infrastructure.curated_sources import RegisteredSources
from infrastructure.external_alerts import Alerts
from infrastructure.outbound import GuardedClient, from_settings
from infrastructure.pgstac.renders import RenderConfigs
from infrastructure.postgres.api_keys import ApiKeys
from infrastructure.postgres.approvals import PostgresApprovals
from infrastructure.postgres.artifacts import PostgresArtifacts
from infrastructure.postgres.audit import AuditLog
from infrastructure.postgres.catalog import PostgresCatalog
from infrastructure.postgres.consistency import PostgresConsistency
from infrastructure.postgres.curated import PostgresCurated
from infrastructure.postgres.datasets import Datasets
from infrastructure.postgres.dead_letters import DeadLetters
from infrastructure.postgres.decisions import Decisions
from infrastructure.postgres.evidence import PostgresEvidence
from infrastructure.postgres.exports import PostgresExports
from infrastructure.postgres.external_services import PostgresServices
from infrastructure.postgres.feature_styles import FeatureStyles
from infrastructure.postgres.feature_tables import PostgresFeatureTables
from infrastructure.postgres.gauges import Gauges
from infrastructure.postgres.idempotency import IdempotencyKeys
from infrastructure.postgres.job_operations import JobOperations
from infrastructure.postgres.job_reader import JobReader
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.postgres.plans import PostgresPlans
from infrastructure.postgres.policies import PostgresPolicies
from infrastructure.postgres.pool import Pool, open_pool
from infrastructure.postgres.readers import PostgresReaders
from infrastructure.postgres.repair_store import Repairs
from infrastructure.postgres.reports import Reports
from infrastructure.postgres.requests import PostgresRequests
from infrastructure.postgres.revision_store import Revisions
from infrastructure.postgres.snapshots import SystemSnapshots
from infrastructure.postgres.timeline import JobHistory
from infrastructure.postgres.webhooks import PostgresDeliveries
from infrastructure.queues import ServiceBus
from infrastructure.telemetry import MachineObserver
from jobs.registry import JOBS
from services.approvals.exports import Exports
from services.approvals.low_risk import objections
from services.curated.scheduling import CuratedScheduler
from services.external_services.checking import Checker
from services.platform.looking import Looker
from services.platform.planning import Planner
from services.platform.routing import Routes
from services.platform.submit import Limits, PlatformService
from services.registry import HANDLERS
from services.webhooks.delivery import Webhooks
from triggers.clock import occurrence
from triggers.http.gate import METRICS_READER, Gate

if TYPE_CHECKING:
    from infrastructure.administration.external_databases import ExternalDatabases
    from infrastructure.administration.maintenance import Maintenance
    from infrastructure.data_factory.client import AzureDataFactory


class Runtime:
    """One process's parts, each made when first used. Thread-safe through `get_runtime`."""

    def __init__(self, settings: Settings, *, registry: Registry | None = None, slot: Slot | None = None) -> None:
        self.settings = settings
        self.log = structlog.get_logger()
        self.worker_name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.pool: Pool = open_pool(settings.database, application=settings.app.name)
        self.storage: ObjectStorage = storage.from_settings(settings.storage, settings.app.home)
        self.bus = (
            ServiceBus(settings.service_bus, self.pool, self.log) if settings.queue.transport == "servicebus" else None
        )
        self.machine = CoreMachine(
            registry or Registry(JOBS, HANDLERS),
            PostgresJobStore(self.pool),
            self._resources,
            worker=self.worker_name,
            log=self.log,
            lease=settings.queue.lease_seconds,
            retry=RetryPolicy(settings.queue.retry_base_seconds, settings.queue.retry_max_seconds),
            promises=self.promises,
            dispatch=self.bus.courier.call if self.bus else None,
            slot=slot,
            observer=MachineObserver(settings.telemetry.traced_jobs),
        )
        self.requests = PostgresRequests(self.pool)
        self.approvals = PostgresApprovals(self.pool)
        self.policies = PostgresPolicies(self.pool)
        self.readers = PostgresReaders(self.pool)
        self.idempotency = IdempotencyKeys(self.pool)
        self.evidence = PostgresEvidence(self.pool)
        self.revisions = Revisions(self.pool, self.storage, settings.approvals.keep_days)
        self.decisions = Decisions(
            self.pool, standard_policy(settings.approvals), objections, exports=settings.adf.configured
        )
        self.audit = AuditLog(self.pool)
        self.api_keys = ApiKeys(self.pool)
        self.jobs = JobReader(self.pool)
        self.history = JobHistory(self.pool)
        self.reports = Reports(self.pool)
        self.gauges = Gauges(self.pool)
        self.snapshots = SystemSnapshots(self.pool, settings, self._server_versions)
        self.datasets = Datasets(self.pool)
        self.operations = JobOperations(self.pool)
        self.dead_letters = DeadLetters(self.pool)
        self.catalog = PostgresCatalog(self.pool)
        self.renders = RenderConfigs(self.pool)
        self.styles = FeatureStyles(self.pool)
        self.artifacts = PostgresArtifacts(self.pool, self.storage)
        self.platform = PlatformService(
            self.machine,
            self.storage,
            self.requests,
            self.catalog,
            _limits(settings.platform),
            primary_client=settings.platform.primary_client,
            callback=lambda url: self.webhooks.require(url),
        )

    @once
    def setting_warnings(self) -> list[SettingWarning]:
        """What is allowed about the settings, and probably not meant."""
        return config.review(self.settings)

    @once
    def planner(self) -> Planner:
        """Dry runs."""
        scratch, limit = self.settings.app.home / "scratch", self.settings.platform.preview_mb
        sight = Sight(self.storage, self.catalog, self.settings.platform.max_raster_pixels, scratch)
        look = Looker(self.machine.registry, sight, limit)
        return Planner(self.platform, self.machine.registry, self.requests, PostgresPlans(self.pool), look)

    @once
    def gate(self) -> Gate:
        """Who may come in: the credentials this process accepts, and how often."""
        return Gate(self.settings.server, Credentials(self.settings.auth, self.key_ring))

    @once
    def key_ring(self) -> KeyRing:
        """The operator's own key and those in the database."""
        key = self.settings.server.admin_key
        admin = Principal("admin", frozenset({Role.ADMIN}), client_id="admin", credential="admin key")
        fixed = {key.get_secret_value(): admin} if key else {}
        if (reader := self.settings.telemetry.metrics_key) is not None:
            fixed[reader.get_secret_value()] = METRICS_READER
        return KeyRing(fixed, self.api_keys)

    @once
    def outbound(self) -> GuardedClient:
        """Calls to addresses that somebody gave us."""
        return from_settings(self.settings.outbound)

    @once
    def services(self) -> PostgresServices:
        """Map services of others."""
        return PostgresServices(self.pool)

    @once
    def checker(self) -> Checker:
        """Asks them how they are."""
        return Checker(self.outbound, self.services, self.settings.external_services.check_seconds)

    def _server_versions(self) -> Mapping[str, object]:
        return {**self.jobs.versions(), "pgstac": self.database.vitals.catalogue().version}

    def _alert(self, event: str, payload: Mapping[str, JsonValue]) -> None:
        url = self.settings.external_services.alert_url
        Alerts(event, self.outbound, url.get_secret_value() if url else None, self.log)(payload)

    @once
    def curated(self) -> PostgresCurated:
        """Reference datasets that the system keeps up to date."""
        return PostgresCurated(self.pool)

    @once
    def curated_scheduler(self) -> CuratedScheduler:
        """Submits the updates that are due."""
        prepare = partial(self.machine.prepare, curated.JOB_TYPE, submitted_by="timer")
        return CuratedScheduler(self.curated, prepare, self.machine.accepted, occurrence, self.log)

    @once
    def external_databases(self) -> ExternalDatabases:
        """Databases of others; what compares schemas is loaded by the first who asks."""
        from infrastructure.administration.external_databases import ExternalDatabases

        return ExternalDatabases(self.settings.external_databases)

    @once
    def database(self) -> DatabaseAdministration:
        """The database itself, for administrators."""
        return DatabaseAdministration(self.pool)

    @once
    def maintenance(self) -> Maintenance:
        """Changes to the database as a whole; what compares schemas is loaded by the first who asks."""
        from infrastructure.administration.maintenance import from_settings

        return from_settings(self.pool, self.settings.database, lambda days: self.machine.retain(days, days))

    def desk(self, queues: Sequence[str]) -> Desk:
        """Where messages of these queues become claims."""
        assert self.bus is not None  # nobody else delivers
        return Desk(self.machine, self.bus.mail, queues)

    @once
    def promises(self) -> Mapping[str, Callback]:
        """What carries out the promises of the outbox, by topic."""
        found: dict[str, Callback] = {
            "webhook": lambda payload: self.webhooks.deliver(payload),
            "policy": lambda payload: self.decisions.follow_policy(payload),
            ALERTS: partial(self._alert, "external_service"),
            curated.ALERTS: partial(self._alert, "curated_dataset"),
        }
        if (exports := self.exports) is not None:
            found["adf"] = exports.deliver
        return found

    @once
    def factory(self) -> AzureDataFactory | None:
        """The Data Factory that takes public data out, if one is configured."""
        return data_factory.from_settings(self.settings.adf, self.settings.storage.managed_identity_client_id)

    @once
    def exports(self) -> Exports | None:
        """Its runs."""
        if (factory := self.factory) is None:
            return None
        names = self.settings.adf
        return Exports(
            factory,
            PostgresExports(self.pool),
            self.storage,
            blob_pipeline=names.blob_pipeline,
            vector_pipeline=names.vector_pipeline,
        )

    @once
    def deliveries(self) -> PostgresDeliveries:
        """The log of webhooks."""
        return PostgresDeliveries(self.pool)

    @once
    def webhooks(self) -> Webhooks:
        """Events sent to partners."""
        secret = self.settings.webhooks.secret
        return Webhooks(
            self.outbound,
            self.deliveries,
            master=secret.get_secret_value() if secret else None,
            source=self.settings.server.public_url or "geomachine",
            now=lambda: datetime.now(UTC),
        )

    @once
    def tables(self) -> PostgresFeatureTables:
        """PostGIS feature tables; the Arrow behind them is loaded by the first task that needs one."""
        return PostgresFeatureTables(self.pool)

    @once
    def consistency(self) -> PostgresConsistency:
        """What of the catalogue disagrees with itself."""
        chosen = self.settings.consistency
        return PostgresConsistency(
            self.pool, self.storage, timedelta(minutes=chosen.grace_minutes), outputs=chosen.outputs
        )

    @once
    def repairs(self) -> Repairs:
        """What was mended."""
        return Repairs(self.pool)

    def _resources(self) -> Resources:
        scratch, limit = self.settings.app.home / "scratch", self.settings.platform.max_raster_pixels
        sources = RegisteredSources(self.curated, self.outbound, self.settings.curated)
        return Resources(self.storage, self.tables, self.catalog, self.consistency, sources, scratch, limit)

    def close(self) -> None:
        """Give every connection back."""
        if self.bus is not None:
            self.bus.close()
        if (factory := self.__dict__.get("factory")) is not None:  # if it was ever made
            factory.close()
        self.pool.close()


def _limits(platform: PlatformSettings) -> Limits:
    routes = Routes(
        docker_mb=platform.docker_above_mb,
        raster_mb=platform.max_source_mb,
        tiled_mb=platform.tiled_max_mb,
        worker=platform.worker,
        collection_file_mb=platform.collection_file_mb,
        collection_files=platform.collection_files,
        vector_docker_mb=platform.vector_docker_above_mb,
    )
    return Limits(vector_mb=platform.max_vector_mb, routes=routes)


def standard_policy(settings: ApprovalSettings) -> ApprovalPolicy:
    """What holds where no policy is stored."""
    return ApprovalPolicy(scope="default", allow_self=settings.allow_self, updated_by="settings")


_lock = threading.Lock()
_runtime: Runtime | None = None


def get_runtime() -> Runtime:
    """This process's runtime, made by whichever HTTP request, message or timer comes first."""
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = Runtime(config.load())
        return _runtime
