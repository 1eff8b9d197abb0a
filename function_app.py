"""The Azure Function App: settings in; HTTP, queue and timer triggers out. Imports nothing heavy, stays offline."""

from __future__ import annotations

import azure.functions as func

import config
from composition import get_runtime
from infrastructure import telemetry
from triggers import functions
from triggers.http.app import create_app

# Callers are identified by the API itself: function keys know one level for all routes.
settings = config.load()
telemetry.configure(settings.app.log_level, hosted=True)
telemetry.warn(config.review(settings))
telemetry.start(settings.telemetry, "geomachine-functions", hosted=True)

app = func.AsgiFunctionApp(create_app(get_runtime), http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")
functions.register(app, get_runtime, settings)
