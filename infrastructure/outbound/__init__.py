"""Calls to addresses that partners and operators gave us, guarded against those that reach into our own network."""

from infrastructure.outbound.addresses import AddressRules
from infrastructure.outbound.client import GuardedClient, from_settings

__all__ = ["AddressRules", "GuardedClient", "from_settings"]
