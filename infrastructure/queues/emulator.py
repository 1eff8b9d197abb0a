"""What differs where Service Bus is an emulator on a developer's machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from azure.core.pipeline.transport import RequestsTransport

if TYPE_CHECKING:
    from azure.core.rest import HttpRequest


class PlainHttp(RequestsTransport):  # type: ignore[misc]  # azure.core is untyped
    """The SDK's administration client always asks over https; emulators answer http only."""

    def send(self, request: HttpRequest, **options: Any) -> Any:
        """Send without TLS."""
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def at_port(connection_string: str, port: int) -> str:
    """The same endpoint at another port."""
    return re.sub(r"(?i)(Endpoint=sb://[^:/;]+)(:\d+)?", rf"\g<1>:{port}", connection_string, count=1)
