"""What is allowed and yet probably not meant: warnings about the settings of a process. Errors are raised by `load`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from config.settings import Settings

_KEY_LENGTH = 16


@dataclass(frozen=True)
class SettingWarning:
    """A setting, what comes of it, and what to do."""

    setting: str
    problem: str
    fix: str


def review(settings: Settings) -> list[SettingWarning]:
    """Every warning, in the order of the settings' pages."""
    exposed = not _local(settings.server.host) or bool(settings.app.azure_site or settings.app.azure_container_app)
    return [*_about_callers(settings, exposed), *_about_operation(settings, exposed)]


def _about_callers(settings: Settings, exposed: bool) -> Iterator[SettingWarning]:
    server = settings.server
    if exposed and settings.app.development:
        yield SettingWarning(
            "ENVIRONMENT",
            f"{settings.app.environment} allows test-only conveniences, and others can reach this process.",
            "Set ENVIRONMENT=production.",
        )
    if exposed and server.admin_key is None and settings.auth.tenant is None:
        yield SettingWarning(
            "GEOMACHINE_KEY", "Nobody can be an admin: only the probes answer.", "Set it, or ENTRA_TENANT_ID."
        )
    if server.admin_key is not None and len(server.admin_key.get_secret_value()) < _KEY_LENGTH:
        yield SettingWarning(
            "GEOMACHINE_KEY", "The admin key is short enough to be guessed.", f"Use {_KEY_LENGTH} characters or more."
        )
    if exposed and server.public_url is None:
        yield SettingWarning(
            "ETL_APP_URL", "Links in answers name whatever host a request came to.", "Set it to the public address."
        )
    if server.public_url and server.public_url.startswith("http://") and not settings.app.development:
        yield SettingWarning(
            "ETL_APP_URL", "Keys and tokens travel in clear text over http.", "Serve https, and name that address."
        )
    if exposed and (settings.app.azure_site or settings.app.azure_container_app) and server.proxies == 0:
        yield SettingWarning(
            "HTTP_TRUSTED_PROXIES",
            "Azure's front end stands before this process, so all callers share its address and one rate limit.",
            "Set HTTP_TRUSTED_PROXIES=1.",
        )
    if exposed and 0 in (server.rate, server.public_rate):
        yield SettingWarning(
            "RATE_LIMIT_PER_SECOND", "Callers are not limited.", "Give it and RATE_LIMIT_PUBLIC_PER_SECOND a number."
        )
    if settings.approvals.allow_self and not settings.app.development:
        yield SettingWarning(
            "APPROVAL_ALLOW_SELF", "Who submits may approve it himself.", "Leave it out, and store policies instead."
        )


def _about_operation(settings: Settings, exposed: bool) -> Iterator[SettingWarning]:
    if settings.webhooks.secret is None:
        yield SettingWarning(
            "WEBHOOK_SECRET", "Requests with a callback_url are refused.", "Set it to 16 characters or more."
        )
    collected = settings.telemetry.application_insights or settings.telemetry.otlp_endpoint
    if exposed and not collected and settings.telemetry.metrics_key is None:
        yield SettingWarning(
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "Nobody collects traces and metrics.",
            "Set it, OTEL_EXPORTER_OTLP_ENDPOINT or METRICS_KEY.",
        )
    if settings.worker.task_memory_mb == 0 and exposed and settings.queue.transport == "postgres":
        yield SettingWarning(
            "WORKER_TASK_MEMORY_MB",
            "A task that takes all memory takes the worker's other tasks with it.",
            "Set it to the memory of the machine divided by WORKER_PROCESSES.",
        )
    if not settings.platform.worker:
        yield SettingWarning(
            "DOCKER_WORKER_ENABLED", "Files that are too large for a Function App are refused.", "Run a worker."
        )


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
