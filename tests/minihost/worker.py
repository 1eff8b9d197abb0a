"""The host's side of the gRPC stream: one worker process and its invocations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import uuid
from collections import defaultdict
from pathlib import Path

import grpc

from . import wire
from .app import App, Function

_SHIM = Path(__file__).with_name("shim.py")
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_START_SECONDS = 60.0


class InvocationFailed(Exception):
    """The function raised, or the worker went away; `stack` is the traceback on its side."""

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.stack = stack


class Worker:
    """One process running the app under the engine. Use as an async context manager."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.id = str(uuid.uuid4())
        self.version = ""
        self.logs: dict[str, list[str]] = defaultdict(list)
        self._outbox: asyncio.Queue = asyncio.Queue()
        self._replies: dict[str, asyncio.Future] = {}
        self._tasks: set[asyncio.Task] = set()
        self._server: grpc.aio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None

    # --- life ---------------------------------------------------------------
    async def __aenter__(self) -> Worker:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc_info) -> None:
        await self._stop()

    async def _start(self) -> None:
        port = await self._listen()
        started = self._expect("start_stream")
        await self._launch(port)
        await self._within(started)
        reply = await self._ask(
            "worker_init_response",
            worker_init_request=wire.WorkerInitRequest(
                host_version="4.0.0",
                worker_directory=str(_SHIM.parent),
                function_app_directory=str(self.app.root),
            ),
        )
        self.version = reply.worker_metadata.worker_version
        request = wire.FunctionsMetadataRequest(function_app_directory=str(self.app.root))
        reply = await self._ask("function_metadata_response", functions_metadata_request=request)
        self.app.adopt(reply.function_metadata_results)
        for fn in self.app.functions:
            request = wire.FunctionLoadRequest(function_id=fn.id, metadata=fn.metadata)
            await self._ask("function_load_response", function_load_request=request)

    async def _stop(self) -> None:
        """Kill the process, as Azure does: no Python worker is asked to shut down."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._server is not None:
            await self._server.stop(0.2)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _launch(self, port: int) -> None:
        env = {**os.environ, "AzureWebJobsScriptRoot": str(self.app.root), "PYTHONUNBUFFERED": "1"}
        argv = [sys.executable, str(_SHIM), "--port", str(port), "--worker-id", self.id]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *argv, cwd=self.app.root, env=env, stdout=pipe, stderr=pipe, start_new_session=True
        )
        for stream in (self._process.stdout, self._process.stderr):
            self._background(self._relay(stream))
        self._background(self._watch())

    def _background(self, coroutine) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            print(line.decode(errors="replace").rstrip(), file=sys.stderr, flush=True)

    async def _watch(self) -> None:
        code = await self._process.wait()
        for future in self._replies.values():
            if not future.done():
                future.set_exception(InvocationFailed(f"the worker process exited with code {code}"))
        await self._outbox.put(None)

    # --- stream -------------------------------------------------------------
    async def _listen(self) -> int:
        handler = grpc.stream_stream_rpc_method_handler(
            self._event_stream,
            request_deserializer=wire.StreamingMessage.FromString,
            response_serializer=wire.StreamingMessage.SerializeToString,
        )
        self._server = grpc.aio.server(options=_UNLIMITED)
        service = grpc.method_handlers_generic_handler(wire.SERVICE, {wire.METHOD: handler})
        self._server.add_generic_rpc_handlers((service,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def _event_stream(self, requests, context):
        async def read() -> None:
            with contextlib.suppress(grpc.aio.UsageError):  # the stream was cut: the worker was killed
                async for message in requests:
                    self._received(message)
            await self._outbox.put(None)

        self._background(read())
        while (message := await self._outbox.get()) is not None:
            yield message

    def _received(self, message) -> None:
        kind = message.WhichOneof("content")
        content = getattr(message, kind)
        if kind == "rpc_log":
            self.logs[content.invocation_id].append(content.message)
            print(f"[{content.category}] {content.message}", file=sys.stderr, flush=True)
            return
        future = self._replies.pop(content.invocation_id if kind == "invocation_response" else kind, None)
        if future is not None and not future.done():
            future.set_result(content)

    def _expect(self, key: str) -> asyncio.Future:
        future = self._replies[key] = asyncio.get_running_loop().create_future()
        return future

    async def _ask(self, reply: str, **content):
        future = self._expect(reply)
        await self._outbox.put(wire.StreamingMessage(request_id=str(uuid.uuid4()), **content))
        answer = await self._within(future)
        _raise_for(answer.result)
        return answer

    async def _within(self, future: asyncio.Future):
        try:
            return await asyncio.wait_for(future, _START_SECONDS)
        except TimeoutError:
            raise InvocationFailed(f"the worker did not answer within {_START_SECONDS:.0f} s") from None

    # --- invocations --------------------------------------------------------
    async def invoke(self, fn: Function, data, metadata, invocation: str | None = None):
        """Run a function to its end and return the InvocationResponse. Raises InvocationFailed."""
        if self._process.returncode is not None:
            raise InvocationFailed("the worker process is gone")
        invocation = invocation or str(uuid.uuid4())
        future = self._expect(invocation)
        parent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        request = wire.InvocationRequest(
            invocation_id=invocation,
            function_id=fn.id,
            input_data=[wire.ParameterBinding(name=fn.trigger["name"], data=data)],
            trigger_metadata=metadata,
            trace_context=wire.RpcTraceContext(trace_parent=parent),
            retry_context=wire.RetryContext(),
        )
        await self._outbox.put(wire.StreamingMessage(request_id=invocation, invocation_request=request))
        reply = await future
        _raise_for(reply.result)
        return reply


def _raise_for(result) -> None:
    if result.status != wire.StatusResult.Success:
        raise InvocationFailed(result.exception.message or "failed", result.exception.stack_trace)
