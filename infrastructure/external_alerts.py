"""Tells of services that went away or came back: to the log, and to an address where one is set."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from core.contracts.outbound import Limits, Outbound
from core.errors import RemoteUnavailable
from core.machine.machine import Log

_LIMITS = Limits(seconds=20, size=1 << 16, cut=True)


class ServiceAlerts:
    """Delivers the outbox's alerts. Raises RemoteUnavailable for any status but 2xx: the outbox tries again."""

    def __init__(self, outbound: Outbound, url: str | None, log: Log) -> None:
        self._outbound = outbound
        self._url = url
        self._log = log

    def __call__(self, payload: Mapping[str, JsonValue]) -> None:
        """Deliver one."""
        fields = {name: payload.get(name) for name in ("alert", "service_id", "name", "reason")}
        self._log.warning("external_service", **fields)
        if self._url is None:
            return
        body = json.dumps({"event": "external_service", **payload}).encode()
        answer = self._outbound.post(self._url, body, {"Content-Type": "application/json"}, _LIMITS)
        if not 200 <= answer.status < 300:
            raise RemoteUnavailable(f"SERVICE_ALERT_URL answers with status {answer.status}.")
