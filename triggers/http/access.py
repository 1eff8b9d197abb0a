"""What routes get from the application: the runtime and the address links are made with."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from composition import Runtime


def runtime(request: Request) -> Runtime:
    """This process's runtime."""
    return cast("Runtime", request.app.state.get_runtime())


def base_url(request: Request) -> str:
    """The service's public address, without a trailing slash."""
    configured = runtime(request).settings.server.public_url
    return (configured or str(request.base_url)).rstrip("/")


TheRuntime = Annotated[Runtime, Depends(runtime)]
BaseUrl = Annotated[str, Depends(base_url)]
