"""How is Azure Monitor told? By its exporters, which call nobody else, keep nothing on disk and never insist."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from azure.monitor.opentelemetry.exporter import (
    AzureMonitorLogExporter,
    AzureMonitorMetricExporter,
    AzureMonitorTraceExporter,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from pydantic import SecretStr

from config import preset

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

_SECONDS = 5.0  #: that the endpoint has for an answer

#: The exporters report on themselves to Microsoft, and ask there what they may do, unless the environment forbids it.
_QUIET = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)


class _Options(TypedDict):
    connection_string: str
    disable_offline_storage: bool
    timeout: float
    read_timeout: float
    retry_status: int


def span_exporter(connection: SecretStr) -> SpanExporter:
    """Sends spans, as requests and dependencies."""
    return AzureMonitorTraceExporter(**_options(connection))


def metric_exporter(connection: SecretStr) -> MetricExporter:
    """Sends metrics."""
    return AzureMonitorMetricExporter(**_options(connection))


def logger_provider(connection: SecretStr, resource: Resource) -> LoggerProvider:
    """Takes log lines and sends them, as traces and exceptions."""
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(AzureMonitorLogExporter(**_options(connection))))
    return provider


def _options(connection: SecretStr) -> _Options:
    preset(dict.fromkeys(_QUIET, "true"))
    return {
        "connection_string": connection.get_secret_value(),
        "disable_offline_storage": True,
        "timeout": _SECONDS,
        "read_timeout": _SECONDS,
        # A throttled exporter sleeps for as long as Retry-After says, an hour for instance, and nothing wakes it.
        "retry_status": 0,
    }
