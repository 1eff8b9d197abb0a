"""The Azure Function App: settings in; HTTP, queue and timer triggers out. Imports nothing heavy, stays offline."""

from __future__ import annotations

import azure.functions as func

import config
from composition import get_runtime
from triggers import functions
from triggers.http.app import create_app

# Callers are identified by the API itself: function keys know one level for all routes.
app = func.AsgiFunctionApp(create_app(get_runtime), http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")
functions.register(app, get_runtime, config.load())
