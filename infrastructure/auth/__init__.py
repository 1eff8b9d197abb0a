"""Credentials: API keys, Entra ID tokens, and what Azure's Easy Auth says of a caller."""

from infrastructure.auth.credentials import Credentials

__all__ = ["Credentials"]
