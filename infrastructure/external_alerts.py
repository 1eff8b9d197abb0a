"""Tells of what people want to hear of: to the log, and to an address where one is set."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from core.contracts.outbound import Limits, Outbound
from core.errors import RemoteUnavailable
from core.machine.machine import Log

_LIMITS = Limits(seconds=20, size=1 << 16, cut=True)


class Alerts:
    """Delivers the outbox's alerts of one kind of event.

    Raises RemoteUnavailable for any status but 2xx: the outbox tries again.
    """

    def __init__(self, event: str, outbound: Outbound, url: str | None, log: Log) -> None:
        self._event = event
        self._outbound = outbound
        self._url = url
        self._log = log

    def __call__(self, payload: Mapping[str, JsonValue]) -> None:
        """Deliver one."""
        told = ("alert", "service_id", "dataset_id", "job_id", "name", "reason")
        self._log.warning(self._event, **{name: payload[name] for name in told if name in payload})
        if self._url is None:
            return
        body = json.dumps({"event": self._event, **payload}).encode()
        answer = self._outbound.post(self._url, body, {"Content-Type": "application/json"}, _LIMITS)
        if not 200 <= answer.status < 300:
            raise RemoteUnavailable(f"SERVICE_ALERT_URL answers with status {answer.status}.")
