"""How the mounted libraries are kept from reading the environment and the working directory's `.env`."""

from __future__ import annotations

import inspect
import logging

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


def _only_arguments(
    cls: type[BaseSettings],
    settings_cls: type[BaseSettings],
    init_settings: PydanticBaseSettingsSource,
    env_settings: PydanticBaseSettingsSource,
    dotenv_settings: PydanticBaseSettingsSource,
    file_secret_settings: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    return (init_settings,)


def take_only_arguments() -> None:
    """Make the libraries' settings classes take their defaults and what they are given, nothing else.

    Some build settings while they are imported, so this comes before every other import of them.
    """
    from stac_fastapi.pgstac import config as pgstac_config
    from stac_fastapi.types import config as stac_config
    from tipg import settings as tipg_settings

    # It warns of default titles when imported, before anyone could have set them.
    logging.getLogger(stac_config.__name__).setLevel(logging.ERROR)
    for module in (stac_config, pgstac_config, tipg_settings):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseSettings) and kind is not BaseSettings:
                kind.settings_customise_sources = classmethod(_only_arguments)  # type: ignore[assignment]
