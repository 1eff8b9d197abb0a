"""Run the emulator:  python -m tests.sb_emulator --queue jobs --queue small:lock=5,max=3"""
from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import ssl
import subprocess

from tests.sb_emulator import admin as sbe_admin
from tests.sb_emulator.broker import Broker, QueueProps
from tests.sb_emulator.server import Server

SHORT = {"lock": ("lock_duration", float), "max": ("max_delivery_count", int),
         "ttl": ("default_ttl", float), "session": ("requires_session", lambda v: v == "1"),
         "dup": ("requires_duplicate_detection", lambda v: v == "1"),
         "dupwindow": ("dup_window", float), "size": ("max_message_size", int),
         "dlqexpired": ("dead_letter_on_expiration", lambda v: v == "1")}


def parse_queue(text):
    name, _, opts = text.partition(":")
    kw = {}
    for item in filter(None, opts.split(",")):
        key, _, val = item.partition("=")
        attr, conv = SHORT[key]
        kw[attr] = conv(val)
    return name, QueueProps(**kw)


def load_config(path, broker):
    """Queues of an official-emulator Config.json."""
    with open(path, encoding="utf-8") as fh:
        cfg = json.load(fh)
    for ns in cfg["UserConfig"]["Namespaces"]:
        for q in ns.get("Queues", []):
            broker.create(q["Name"], QueueProps(**sbe_admin.props_from_config(
                q.get("Properties", {}))))


def make_cert(folder):
    """A self-signed localhost certificate with the openssl command."""
    os.makedirs(folder, exist_ok=True)
    crt, key = os.path.join(folder, "localhost.pem"), os.path.join(folder, "localhost.key")
    if not os.path.exists(crt):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                        "-keyout", key, "-out", crt, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True)
    return crt, key


async def run(args):
    broker = Broker()
    if args.config:
        load_config(args.config, broker)
    for text in args.queue:
        name, props = parse_queue(text)
        broker.create(name, props)
    keys = dict(k.split("=", 1) for k in args.key) or None
    server = Server(broker, keys=keys, max_frame=args.max_frame, trace=args.trace)
    info = {"amqp": await server.start(args.host, args.port)}
    admin = sbe_admin.Admin(server)
    if args.admin_port >= 0:
        info["admin"] = await admin.start(args.host, args.admin_port)
    if args.tls_dir:
        crt, key = make_cert(args.tls_dir)
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(crt, key)
        info["amqps"] = await server.start(args.host, args.tls_port, ssl=ctx)
        info["admin_tls"] = await admin.start(args.host, args.tls_admin_port, ssl=ctx)
        info["ca"] = crt
    info["queues"] = [q.name for q in broker.queues.values()]
    info["connection_string"] = (
        f"Endpoint=sb://localhost:{info['amqp']};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;")
    print(json.dumps(info), flush=True)
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    if args.stdin_leash:                  # end with the process that started us, however it ends
        def on_stdin():
            if not os.read(0, 4096):
                asyncio.get_running_loop().remove_reader(0)
                stop.set()
        asyncio.get_running_loop().add_reader(0, on_stdin)
    await stop.wait()
    await server.stop()


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=5672, help="AMQP port, 0 for any")
    ap.add_argument("--admin-port", type=int, default=5300, help="HTTP port, 0 any, -1 none")
    ap.add_argument("--queue", action="append", default=[],
                    help="name[:lock=S,max=N,ttl=S,session=1,dup=1,dupwindow=S,size=B,dlqexpired=1]")
    ap.add_argument("--config", help="Config.json of the official emulator (queues only)")
    ap.add_argument("--key", action="append", default=[], metavar="POLICY=KEY",
                    help="verify SAS signatures against this key (default: accept any token)")
    ap.add_argument("--tls-dir", help="also listen with TLS; certificate is made in this folder")
    ap.add_argument("--tls-port", type=int, default=5671)
    ap.add_argument("--tls-admin-port", type=int, default=0)
    ap.add_argument("--max-frame", type=int, default=65536)
    ap.add_argument("--stdin-leash", action="store_true", help="exit when standard input closes")
    ap.add_argument("--trace", action="store_true", help="log every frame")
    args = ap.parse_args()
    logging.basicConfig(level=logging.DEBUG if args.trace else logging.WARNING,
                        format="%(asctime)s %(name)s %(levelname)s %(message)s")
    asyncio.run(run(args))


if __name__ == "__main__":
    main()
