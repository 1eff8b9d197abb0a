"""The worker process: Microsoft's `azure_functions_runtime` behind the gRPC stream.

The worker Azure ships has two halves: a transport, which is not published, and the engine, which is.
This file stands in for the first. Every decision about the app is the engine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import logging
import os
import queue
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
# The app's folder comes first, as on Azure; this package is found last and never shadows the app.
sys.path[:] = [os.environ["AzureWebJobsScriptRoot"], *(p for p in sys.path if Path(p) != HERE), str(HERE.parent)]

import azure_functions_runtime as engine  # noqa: E402
import grpc  # noqa: E402

from minihost import wire  # noqa: E402

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_LEVELS = {logging.DEBUG: 1, logging.INFO: 2, logging.WARNING: 3, logging.ERROR: 4, logging.CRITICAL: 5}
_REPLIES = {
    "worker_init_request": "worker_init_response",
    "functions_metadata_request": "function_metadata_response",
    "function_load_request": "function_load_response",
    "invocation_request": "invocation_response",
}
_invocation: contextvars.ContextVar[str] = contextvars.ContextVar("invocation", default="")


class StreamLogHandler(logging.Handler):
    """Sends every log record to the host, as the real worker does."""

    def __init__(self, outbox: queue.Queue) -> None:
        super().__init__()
        self.outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        log = wire.RpcLog(
            level=_LEVELS.get(record.levelno, 0),
            category=record.name,
            message=self.format(record),
            invocation_id=engine.invocation_id_cv.get() or _invocation.get(),
        )
        self.outbox.put(wire.StreamingMessage(rpc_log=log))


async def answer(message, outbox: queue.Queue) -> None:
    """Let the engine handle one message and send what it answers."""
    kind = message.WhichOneof("content")
    if kind == "invocation_request":
        _invocation.set(message.invocation_request.invocation_id)
    packed = SimpleNamespace(name=kind, request=message, properties={"protos": wire, "host": "127.0.0.1"})
    reply = await getattr(engine, kind)(packed)
    outbox.put(wire.StreamingMessage(request_id=message.request_id, **{_REPLIES[kind]: reply}))


async def serve(port: int, worker_id: str) -> None:
    """Answer the host until it closes the stream."""
    outbox: queue.Queue = queue.Queue()
    outbox.put(wire.StreamingMessage(start_stream=wire.StartStream(worker_id=worker_id)))
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(StreamLogHandler(outbox))
    engine.start_threadpool_executor()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", _UNLIMITED)
    call = channel.stream_stream(
        f"/{wire.SERVICE}/{wire.METHOD}",
        request_serializer=wire.StreamingMessage.SerializeToString,
        response_deserializer=wire.StreamingMessage.FromString,
    )
    stream = call(iter(outbox.get, None))
    loop, ended, running = asyncio.get_running_loop(), asyncio.Event(), set()

    def begin(message) -> None:
        task = loop.create_task(answer(message, outbox))
        running.add(task)
        task.add_done_callback(running.discard)

    def pump() -> None:  # a thread, so that a busy event loop still drains the stream
        try:
            for message in stream:
                loop.call_soon_threadsafe(begin, message)
        except grpc.RpcError:
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=pump, name="pump", daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--worker-id", required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.worker_id))
    sys.stdout.flush()
    os._exit(0)  # the app's threads must not keep a dismissed worker alive
