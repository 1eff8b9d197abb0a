from dataclasses import replace

import pytest
from pydantic import ValidationError

import config
from config import AppSettings, AuthSettings
from core.errors import ConfigurationError


def test_a_tenant_needs_an_audience() -> None:
    with pytest.raises(ValidationError, match="ENTRA_AUDIENCE"):
        AuthSettings.model_validate({"ENTRA_TENANT_ID": "t"})


@pytest.mark.parametrize("authority", ["ftp://x", "https://login/../x", "https://user@login", "login", "https://a b"])
def test_the_authority_is_an_address_and_nothing_more(authority: str) -> None:
    with pytest.raises(ValidationError):
        AuthSettings.model_validate({"ENTRA_AUTHORITY": authority})


def test_signing_keys_are_read_over_http_in_development_only() -> None:
    auth = AuthSettings.model_validate({"ENTRA_AUTHORITY": "http://127.0.0.1:1"})
    replace(config.load(), auth=auth)
    with pytest.raises(ConfigurationError, match="ENTRA_AUTHORITY"):
        replace(config.load(), auth=auth, app=AppSettings.model_validate({"ENVIRONMENT": "production"}))
