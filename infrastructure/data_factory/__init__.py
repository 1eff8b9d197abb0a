"""Azure Data Factory over its REST interface. Nothing is loaded before a factory is configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from config import AdfSettings

if TYPE_CHECKING:
    from infrastructure.data_factory.client import AzureDataFactory


def from_settings(settings: AdfSettings, identity: str | None) -> AzureDataFactory | None:
    """The factory that exports go through; None where none is named."""
    if not settings.configured:
        return None
    from infrastructure.data_factory.client import (
        SCOPE,
        AzureDataFactory,
    )  # httpx, and only where something is exported

    made: list[Callable[[], str]] = []

    def token() -> str:
        if not made:
            from azure.identity import DefaultAzureCredential  # 0.3 s, and only where something is exported

            credential = DefaultAzureCredential(managed_identity_client_id=identity)
            made.append(lambda: credential.get_token(SCOPE).token)
        return made[0]()

    return AzureDataFactory(settings, token)
