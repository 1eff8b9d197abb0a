"""What all settings have in common: read from the environment, never changed."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

BASE = SettingsConfigDict(
    frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True, allow_inf_nan=False
)
