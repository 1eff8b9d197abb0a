"""Who collects traces and metrics? Azure Monitor, an OpenTelemetry collector and Prometheus, each where configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from config import TelemetrySettings
from core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter

_prometheus = False
_SECONDS = 60_000  #: milliseconds between two exports of metrics


def start(settings: TelemetrySettings, process: str, *, prometheus: bool = False) -> None:
    """Collect in this process from now on, once. Without anything configured nothing is loaded and nothing costs."""
    exporters, readers = _span_exporters(settings), _readers(settings, prometheus)
    if not exporters and not readers:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    from infrastructure.telemetry.job_ids import JobIds

    resource = Resource.create({"service.namespace": "geomachine", "service.name": process, "service.version": VERSION})
    if exporters:
        sampler = ParentBased(TraceIdRatioBased(settings.sample_ratio))
        provider = TracerProvider(sampler=sampler, resource=resource, id_generator=JobIds())
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    if readers:
        global _prometheus
        _prometheus = prometheus
        metrics.set_meter_provider(MeterProvider(metric_readers=readers, resource=resource))


def stop() -> None:
    """Send what is left. A process that ends without it loses the last seconds."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        shutdown = getattr(provider, "shutdown", None)
        if shutdown is not None:
            shutdown()


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
        from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter

        found.append(
            AzureMonitorTraceExporter(
                connection_string=settings.application_insights.get_secret_value(), disable_offline_storage=True
            )
        )
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
        found.append(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint), export_interval_millis=_SECONDS))
    if settings.application_insights is not None:
        from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        exporter = AzureMonitorMetricExporter(
            connection_string=settings.application_insights.get_secret_value(), disable_offline_storage=True
        )
        found.append(PeriodicExportingMetricReader(exporter, export_interval_millis=_SECONDS))
    return found
