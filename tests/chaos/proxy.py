"""A wire to PostgreSQL that can be cut at the worst moment: before a statement arrives, or after it was committed."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress

#: ReadyForQuery, outside a transaction: what the server says when a statement, or a COMMIT, is done.
_COMMITTED = b"Z\x00\x00\x00\x05I"
_CUTS = ("idle", "before", "after")


class Proxy:
    """Listens on a port of its own and forwards to the server; runs in a thread."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._armed: list[str] = []
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self.cuts: Counter[str] = Counter()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="proxy", daemon=True)
        self._thread.start()
        started.wait()

    def arm(self, kind: str) -> None:
        """`before`: the next statement never arrives. `after`: the next one is committed, its answer never arrives."""
        self._armed.append(kind)

    def cut(self, source: random.Random) -> None:
        """Cut a connection now, whatever it does."""
        self._loop.call_soon_threadsafe(self._cut_one, source.random())

    def close(self) -> None:
        """Cut all and stop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def take(self, kind: str) -> bool:
        """True when a cut of that kind is due; it is then done."""
        if kind in self._armed:
            self._armed.remove(kind)
            self.cuts[kind] += 1
            return True
        return False

    def _cut_one(self, point: float) -> None:
        links = sorted(self._links, key=id)
        if links:
            self.cuts["idle"] += 1
            links[int(point * len(links))].abort()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        for link in list(self._links):
            link.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                self._loop.run_until_complete(task)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), to)
        self._links.add(link)
        await link.run()
        self._links.discard(link)


class _Link:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._ready = False  #: past the greeting
        self._asked = False  #: a statement is under way

    def abort(self) -> None:
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def run(self) -> None:
        await asyncio.gather(self._requests(), self._answers())

    async def _requests(self) -> None:
        with suppress(OSError):
            while data := await self._client[0].read(1 << 16):
                if self._ready and self._proxy.take("before"):
                    break
                self._asked = self._ready
                self._server[1].write(data)
                await self._server[1].drain()
        self.abort()

    async def _answers(self) -> None:
        with suppress(OSError):
            while data := await self._server[0].read(1 << 16):
                if data.endswith(_COMMITTED):
                    if self._asked and self._proxy.take("after"):
                        break
                    self._ready = True
                    self._asked = False
                self._client[1].write(data)
                await self._client[1].drain()
        self.abort()
