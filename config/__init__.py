"""Every setting, one small frozen class per concern, read from the environment once by `load`."""

from config.environment import inherited, schedule
from config.settings import (
    AppMode,
    ApprovalSettings,
    AppSettings,
    AuthSettings,
    ClientSettings,
    DatabaseSettings,
    OutboundSettings,
    PlatformSettings,
    QueueSettings,
    RetentionSettings,
    ServerSettings,
    ServiceBusSettings,
    Settings,
    StorageSettings,
    WebhookSettings,
    WorkerSettings,
    load,
)

__all__ = [
    "AppMode",
    "AppSettings",
    "ApprovalSettings",
    "AuthSettings",
    "ClientSettings",
    "DatabaseSettings",
    "OutboundSettings",
    "PlatformSettings",
    "QueueSettings",
    "RetentionSettings",
    "ServerSettings",
    "ServiceBusSettings",
    "Settings",
    "StorageSettings",
    "WebhookSettings",
    "WorkerSettings",
    "inherited",
    "load",
    "schedule",
]
