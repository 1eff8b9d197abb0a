"""Which object store do the settings ask for?"""

from __future__ import annotations

from pathlib import Path

from config.settings import StorageSettings
from core.contracts.storage import ObjectStorage


def from_settings(storage: StorageSettings, home: Path) -> ObjectStorage:
    """Azure when the settings name an account or a connection string, else a local folder.

    Without GEOMACHINE_STORAGE_ROOT that folder is `storage` under `home`. Nothing is contacted or created yet.
    """
    if not storage.azure:
        from infrastructure.storage.local import LocalStorage

        return LocalStorage(storage.root or home / "storage")

    from infrastructure.storage.accounts import accounts_from_settings
    from infrastructure.storage.azure import AzureStorage

    return AzureStorage(accounts_from_settings(storage))
