"""Azure Data Factory over its REST interface."""

from infrastructure.data_factory.client import AzureDataFactory, from_settings

__all__ = ["AzureDataFactory", "from_settings"]
