"""Start the emulator for a test run.

    with Emulator(queues=["jobs:lock=5,max=3"]) as emu:
        client = ServiceBusClient.from_connection_string(emu.connection_string)

It runs as a separate process (a real socket, its own event loop), on free ports.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Emulator:
    def __init__(self, queues=(), extra=()):
        cmd = [sys.executable, "-m", "tests.sb_emulator", "--port", "0", "--admin-port", "0", "--stdin-leash"]
        for q in queues:
            cmd += ["--queue", q]
        self.proc = subprocess.Popen(cmd + list(extra), stdin=subprocess.PIPE, cwd=ROOT,
                                     stdout=subprocess.PIPE, text=True)
        line = self.proc.stdout.readline()
        if not line:
            raise RuntimeError("the emulator did not start")
        self.info = json.loads(line)
        self.connection_string = self.info["connection_string"]

    @property
    def admin_connection_string(self):
        return self.connection_string.replace(f":{self.info['amqp']};", f":{self.info['admin']};")

    def control(self, what, **query):
        url = f"http://127.0.0.1:{self.info['admin']}/$emulator/{what}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        req = urllib.request.Request(url, method="GET" if what == "stats" else "POST")
        with urllib.request.urlopen(req, timeout=10) as resp:
            return json.load(resp)

    def fail_next(self, op, condition, count=1, skip=0):
        """op: send | settle | renew-lock | schedule-message | peek-message | …
        condition: an AMQP condition, or drop-before / drop-after (cut the connection)."""
        return self.control("fail", op=op, condition=condition, count=count, skip=skip)

    def drop_connections(self):
        return self.control("drop-connections")["dropped"]

    def stats(self, queue=None):
        out = self.control("stats")
        return out["queues"][queue] if queue else out

    def close(self):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
