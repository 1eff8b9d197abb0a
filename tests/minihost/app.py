"""What the host knows about an app: host.json, its functions, and what is wrong with them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from croniter import croniter

_FUNCTION_NAME = re.compile(r"^(?!host$)[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)
_SPAN = re.compile(r"(?:\d+\.)?(?:[01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d")
_TOP_LEVEL = {
    "version",
    "functionTimeout",
    "logging",
    "extensionBundle",
    "extensions",
    "telemetryMode",
    "healthMonitor",
}
_HTTP = {
    "routePrefix",
    "maxOutstandingRequests",
    "maxConcurrentRequests",
    "dynamicThrottlesEnabled",
    "hsts",
    "customHeaders",
}
# What version 5 of the Service Bus extension reads, flat under serviceBus; it ignores anything else in silence.
_SERVICE_BUS = {
    "autoCompleteMessages",
    "clientRetryOptions",
    "enableCrossEntityTransactions",
    "maxAutoLockRenewalDuration",
    "maxBatchWaitTime",
    "maxConcurrentCalls",
    "maxConcurrentCallsPerSession",
    "maxConcurrentSessions",
    "maxMessageBatchSize",
    "minMessageBatchSize",
    "prefetchCount",
    "sessionIdleTimeout",
    "transportType",
    "webProxy",
}


@dataclass(frozen=True)
class Function:
    """One indexed function."""

    name: str
    id: str
    bindings: list[dict]
    metadata: object

    @property
    def trigger(self) -> dict:
        return next((b for b in self.bindings if b["type"].lower().endswith("trigger")), {"type": "none", "name": ""})

    @property
    def kind(self) -> str:
        return self.trigger["type"].lower()


@dataclass
class App:
    """An app folder, with the problems found so far as `subject: what is wrong`."""

    root: Path
    host_json: dict = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, root: Path) -> App:
        app = cls(root.resolve())
        try:
            app.host_json = json.loads((app.root / "host.json").read_text("utf-8"))
        except (OSError, ValueError) as e:
            app.problem("host.json", str(e))
            return app
        app._check_host_json()
        return app

    def problem(self, subject: str, text: str) -> None:
        self.problems.append(f"{subject}: {text}")

    def extension(self, name: str) -> dict:
        return self.host_json.get("extensions", {}).get(name, {})

    @property
    def route_prefix(self) -> str:
        return self.extension("http").get("routePrefix", "api")

    def adopt(self, indexed) -> None:
        """Take over what the engine indexed, in the host's order: by name, ignoring case."""
        found = [Function(m.name, m.function_id, [json.loads(b) for b in m.raw_bindings], m) for m in indexed]
        self.functions = sorted(found, key=lambda f: f.name.lower())
        names = [f.name.lower() for f in self.functions]
        for fn in self.functions:
            if not _FUNCTION_NAME.match(fn.name) or names.count(fn.name.lower()) > 1:
                self.problem(fn.name, "the name is not valid or not unique")
            for binding in fn.bindings:
                self._check_binding(fn, binding)
        bundle = self.host_json.get("extensionBundle", {}).get("version", "")
        if any(f.kind not in ("httptrigger", "timertrigger") for f in self.functions) and not bundle.startswith("[4."):
            self.problem("host.json", "bindings beyond HTTP and timers need extensionBundle [4.*, 5.0.0)")

    def _check_host_json(self) -> None:
        if self.host_json.get("version") != "2.0":
            self.problem("host.json", 'version must be "2.0"')
        sections = (
            (self.host_json, _TOP_LEVEL),
            (self.extension("http"), _HTTP),
            (self.extension("serviceBus"), _SERVICE_BUS),
        )
        for section, known in sections:
            for key in sorted(set(section) - known):
                self.problem("host.json", f"{key} is not a setting and would be ignored")
            for key, value in section.items():
                if key.endswith(("Timeout", "Duration", "Time")) and not _SPAN.fullmatch(value):
                    self.problem("host.json", f"{key}: {value!r} is not a [d.]hh:mm:ss time span")

    def _check_binding(self, fn: Function, binding: dict) -> None:
        for key, value in binding.items():
            if isinstance(value, str) and key != "connection":
                for name in re.findall(r"%([^%\s]+)%", value):
                    if name not in os.environ:
                        self.problem(fn.name, f"{key}: %{name}% does not resolve to a value")
                binding[key] = re.sub(r"%([^%\s]+)%", lambda m: os.environ.get(m.group(1), m.group(0)), value)
        if binding["type"].lower() == "timertrigger":
            schedule = binding.get("schedule", "")
            if len(schedule.split()) != 6 or not croniter.is_valid(schedule, second_at_beginning=True):
                self.problem(fn.name, f"schedule {schedule!r} is not an NCRONTAB expression of six fields")
        connection = binding.get("connection")
        if connection and not ({connection, f"{connection}__fullyQualifiedNamespace"} & set(os.environ)):
            self.problem(
                fn.name, f"connection {connection!r}: no such setting, and no {connection}__fullyQualifiedNamespace"
            )
