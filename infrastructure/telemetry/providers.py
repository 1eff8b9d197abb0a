"""Who collects traces and metrics? Azure Monitor, an OpenTelemetry collector and Prometheus, each where configured."""

from __future__ import annotations

import atexit
import threading
import time
from typing import TYPE_CHECKING, Protocol

from opentelemetry import _logs, metrics, trace

from config import TelemetrySettings
from core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter

_prometheus = False
_PERIOD = 60_000  #: milliseconds between two exports of metrics
_PATIENCE = 5.0  #: seconds that the end of a process may wait for collectors


class _Provider(Protocol):
    def shutdown(self) -> None: ...


_started: list[_Provider] = []


def start(settings: TelemetrySettings, process: str, *, prometheus: bool = False, hosted: bool = False) -> None:
    """Collect in this process from now on, once. Without anything configured nothing is loaded and nothing costs.

    With `hosted` the host sends our log, see `logs.configure`.
    """
    exporters, readers = _span_exporters(settings), _readers(settings, prometheus)
    if not exporters and not readers:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    from infrastructure.telemetry import azure_monitor
    from infrastructure.telemetry.job_ids import JobIds

    resource = Resource.create({"service.namespace": "geomachine", "service.name": process, "service.version": VERSION})
    if exporters:
        sampler = ParentBased(TraceIdRatioBased(settings.sample_ratio))
        tracing = TracerProvider(sampler, resource, shutdown_on_exit=False, id_generator=JobIds())
        for exporter in exporters:
            tracing.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracing)
        _started.append(tracing)
    if readers:
        global _prometheus
        _prometheus = prometheus
        metering = MeterProvider(readers, resource, shutdown_on_exit=False)
        metrics.set_meter_provider(metering)
        _started.append(metering)
    if settings.application_insights is not None and not hosted:
        logging = azure_monitor.logger_provider(settings.application_insights, resource)
        _logs.set_logger_provider(logging)
        _started.append(logging)
    atexit.register(stop)


def stop() -> None:
    """Send what is left, and lose it where that takes longer than `_PATIENCE`. A second call does nothing."""
    ends = time.monotonic() + _PATIENCE
    ending = [threading.Thread(target=provider.shutdown, name="telemetry", daemon=True) for provider in _started]
    _started.clear()
    for thread in ending:
        thread.start()
    for thread in ending:
        thread.join(max(0.0, ends - time.monotonic()))


def prometheus_reads() -> bool:
    """Whether this process keeps metrics for Prometheus."""
    return _prometheus


def collected(settings: TelemetrySettings) -> dict[str, bool]:
    """Which collectors the settings name."""
    return {
        "azure_monitor": settings.application_insights is not None,
        "otlp": settings.otlp_endpoint is not None,
    }


def _span_exporters(settings: TelemetrySettings) -> list[SpanExporter]:
    found: list[SpanExporter] = []
    if settings.otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        found.append(OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"))
    if settings.application_insights is not None:
        from infrastructure.telemetry import azure_monitor

        found.append(azure_monitor.span_exporter(settings.application_insights))
    return found


def _readers(settings: TelemetrySettings, prometheus: bool) -> list[MetricReader]:
    found: list[MetricReader] = []
    if prometheus:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        found.append(PrometheusMetricReader())
    if settings.otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/metrics"
        found.append(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint), export_interval_millis=_PERIOD))
    if settings.application_insights is not None:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        from infrastructure.telemetry import azure_monitor

        exporter = azure_monitor.metric_exporter(settings.application_insights)
        found.append(PeriodicExportingMetricReader(exporter, export_interval_millis=_PERIOD))
    return found
