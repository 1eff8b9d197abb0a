from dataclasses import replace

import pytest
from pydantic import ValidationError

import config
from config import AppSettings, AuthSettings
from core.errors import ConfigurationError

TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


def test_a_tenant_needs_an_audience() -> None:
    with pytest.raises(ValidationError, match="ENTRA_AUDIENCE"):
        AuthSettings.model_validate({"ENTRA_TENANT_ID": TENANT})


def test_trusting_easy_auth_needs_a_tenant() -> None:
    with pytest.raises(ValidationError, match="ENTRA_TENANT_ID"):
        AuthSettings.model_validate({"EASY_AUTH_TRUSTED": "true"})


@pytest.mark.parametrize("tenant", ["example.onmicrosoft.com", "common", f"{TENANT}x"])
def test_a_tenant_is_named_by_its_guid(tenant: str) -> None:
    with pytest.raises(ValidationError, match="ENTRA_TENANT_ID"):
        AuthSettings.model_validate({"ENTRA_TENANT_ID": tenant, "ENTRA_AUDIENCE": "api://x"})


def test_a_tenants_guid_may_be_in_capitals() -> None:
    chosen = AuthSettings.model_validate({"ENTRA_TENANT_ID": TENANT.upper(), "ENTRA_AUDIENCE": "api://x"})
    assert chosen.tenant == TENANT


@pytest.mark.parametrize("authority", ["ftp://x", "https://login/../x", "https://user@login", "login", "https://a b"])
def test_the_authority_is_an_address_and_nothing_more(authority: str) -> None:
    with pytest.raises(ValidationError):
        AuthSettings.model_validate({"ENTRA_AUTHORITY": authority})


def test_signing_keys_are_read_over_http_in_development_only() -> None:
    auth = AuthSettings.model_validate({"ENTRA_AUTHORITY": "http://127.0.0.1:1"})
    replace(config.load(), auth=auth)
    with pytest.raises(ConfigurationError, match="ENTRA_AUTHORITY"):
        replace(config.load(), auth=auth, app=AppSettings.model_validate({"ENVIRONMENT": "production"}))
