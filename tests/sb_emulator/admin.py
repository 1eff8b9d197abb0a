"""HTTP side of the emulator: the ATOM management API for queues, /health and fault injection.

Enough of the Service Bus resource-provider-free management API for ServiceBusAdministrationClient:
create / get / update / list / delete queues, runtime properties, namespace properties.
"""
from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import urllib.parse
import xml.etree.ElementTree as ET
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from tests.sb_emulator.broker import QueueProps

log = logging.getLogger("sb_emulator.admin")
ATOM = "http://www.w3.org/2005/Atom"
SB = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
FOREVER = "P10675199DT2H48M5.4775807S"
_DUR = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")


def parse_duration(text):
    """Seconds of an ISO 8601 duration; None for 'for ever'."""
    m = _DUR.match(text.strip())
    if not m:
        raise ValueError(f"bad duration {text!r}")
    d, h, mi, s = (float(x) if x else 0.0 for x in m.groups())
    secs = d * 86400 + h * 3600 + mi * 60 + s
    return None if secs > 9e11 else secs


def fmt_duration(secs):
    return FOREVER if secs is None else f"PT{secs:g}S"


def iso(t):
    return datetime.fromtimestamp(t, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _bool(text):
    return text.strip().lower() == "true"


# XML element -> (attribute of QueueProps, reader)
SETTINGS = {
    "LockDuration": ("lock_duration", parse_duration),
    "RequiresDuplicateDetection": ("requires_duplicate_detection", _bool),
    "RequiresSession": ("requires_session", _bool),
    "DefaultMessageTimeToLive": ("default_ttl", parse_duration),
    "DeadLetteringOnMessageExpiration": ("dead_letter_on_expiration", _bool),
    "DuplicateDetectionHistoryTimeWindow": ("dup_window", parse_duration),
    "MaxDeliveryCount": ("max_delivery_count", int),
    "Status": ("status", str),
    "ForwardTo": ("forward_to", lambda t: t.rsplit("/", 1)[-1] if t else None),
    "ForwardDeadLetteredMessagesTo": ("forward_dlq_to",
                                      lambda t: t.rsplit("/", 1)[-1] if t else None),
    "UserMetadata": ("user_metadata", str),
    "MaxMessageSizeInKilobytes": ("max_message_size", lambda t: int(t) * 1024),
}


def props_from_xml(body):
    root = ET.fromstring(body)
    out = {}
    desc = next((e for e in root.iter() if e.tag == f"{{{SB}}}QueueDescription"), None)
    if desc is None:
        raise ValueError("QueueDescription expected")
    for el in desc:
        name = el.tag.rsplit("}", 1)[-1]
        if name in SETTINGS and el.text is not None:
            attr, read = SETTINGS[name]
            out[attr] = read(el.text)
    return out


def props_from_config(cfg):
    """Properties object of the official emulator's Config.json."""
    out = {}
    for name, val in cfg.items():
        if name in SETTINGS and val not in (None, ""):
            attr, read = SETTINGS[name]
            out[attr] = read(str(val))
    return out


def queue_entry(q, host, ns=True):
    p, r = q.props, q.runtime()

    def opt(tag, val):
        return f"<{tag}>{escape(str(val))}</{tag}>" if val is not None else ""
    desc = (
        f'<QueueDescription xmlns="{SB}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        f"<LockDuration>{fmt_duration(p.lock_duration)}</LockDuration>"
        "<MaxSizeInMegabytes>1024</MaxSizeInMegabytes>"
        f"<RequiresDuplicateDetection>{str(p.requires_duplicate_detection).lower()}"
        "</RequiresDuplicateDetection>"
        f"<RequiresSession>{str(p.requires_session).lower()}</RequiresSession>"
        f"<DefaultMessageTimeToLive>{fmt_duration(p.default_ttl)}</DefaultMessageTimeToLive>"
        f"<DeadLetteringOnMessageExpiration>{str(p.dead_letter_on_expiration).lower()}"
        "</DeadLetteringOnMessageExpiration>"
        f"<DuplicateDetectionHistoryTimeWindow>{fmt_duration(p.dup_window)}"
        "</DuplicateDetectionHistoryTimeWindow>"
        f"<MaxDeliveryCount>{p.max_delivery_count}</MaxDeliveryCount>"
        "<EnableBatchedOperations>true</EnableBatchedOperations>"
        f"<SizeInBytes>{r['size']}</SizeInBytes>"
        f"<MessageCount>{r['active'] + r['deferred'] + r['dead_letter'] + r['scheduled']}"
        "</MessageCount><IsAnonymousAccessible>false</IsAnonymousAccessible>"
        f"<Status>{p.status}</Status>"
        + opt("ForwardTo", p.forward_to) + opt("UserMetadata", p.user_metadata)
        + f"<CreatedAt>{iso(q.created)}</CreatedAt><UpdatedAt>{iso(q.updated)}</UpdatedAt>"
        f"<AccessedAt>{iso(q.accessed)}</AccessedAt><SupportOrdering>true</SupportOrdering>"
        f'<CountDetails xmlns:d2p1="{COUNTS}">'
        f"<d2p1:ActiveMessageCount>{r['active']}</d2p1:ActiveMessageCount>"
        f"<d2p1:DeadLetterMessageCount>{r['dead_letter']}</d2p1:DeadLetterMessageCount>"
        f"<d2p1:ScheduledMessageCount>{r['scheduled']}</d2p1:ScheduledMessageCount>"
        "<d2p1:TransferMessageCount>0</d2p1:TransferMessageCount>"
        "<d2p1:TransferDeadLetterMessageCount>0</d2p1:TransferDeadLetterMessageCount>"
        "</CountDetails><AutoDeleteOnIdle>" + FOREVER + "</AutoDeleteOnIdle>"
        "<EnablePartitioning>false</EnablePartitioning>"
        "<EntityAvailabilityStatus>Available</EntityAvailabilityStatus>"
        "<EnableExpress>false</EnableExpress>"
        + opt("ForwardDeadLetteredMessagesTo", p.forward_dlq_to)
        + f"<MaxMessageSizeInKilobytes>{p.max_message_size // 1024}</MaxMessageSizeInKilobytes>"
        "</QueueDescription>")
    name = escape(q.name)
    return (f'<entry{f""" xmlns="{ATOM}" """ if ns else ""}>'
            f"<id>https://{host}/{name}?api-version=2021-05</id>"
            f'<title type="text">{name}</title><published>{iso(q.created)}</published>'
            f"<updated>{iso(q.updated)}</updated><author><name>emulator</name></author>"
            f'<link rel="self" href="https://{host}/{name}?api-version=2021-05"/>'
            f'<content type="application/xml">{desc}</content></entry>')


class Admin:
    def __init__(self, server):
        self.server = server
        self.broker = server.broker

    async def start(self, host="127.0.0.1", port=5300, ssl=None):
        srv = await asyncio.start_server(self._client, host, port, ssl=ssl)
        return srv.sockets[0].getsockname()[1]

    async def _client(self, reader, writer):
        try:
            while True:
                line = await reader.readline()
                if not line:
                    break
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers = {}
                while (raw := (await reader.readline()).decode("latin-1").rstrip("\r\n")):
                    k, _, v = raw.partition(":")
                    headers[k.strip().lower()] = v.strip()
                body = b""
                if headers.get("content-length"):
                    body = await reader.readexactly(int(headers["content-length"]))
                status, ctype, out = self._route(method, target, headers, body)
                payload = out.encode("utf-8")
                writer.write((f"HTTP/1.1 {status} {'OK' if status < 400 else 'Error'}\r\n"
                              f"Content-Type: {ctype}\r\nContent-Length: {len(payload)}\r\n"
                              "\r\n").encode() + payload)
                await writer.drain()
                if headers.get("connection", "").lower() == "close":
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError,
                ValueError) as exc:
            log.debug("admin connection: %r", exc)
        finally:
            writer.close()

    def _error(self, status, text):
        return status, "application/xml; charset=utf-8", \
            f"<Error><Code>{status}</Code><Detail>{escape(text)}</Detail></Error>"

    def _route(self, method, target, headers, body):
        url = urllib.parse.urlsplit(target)
        path = urllib.parse.unquote(url.path).strip("/")
        query = {k.lower(): v[-1] for k, v in urllib.parse.parse_qs(url.query).items()}
        host = headers.get("host", "localhost")
        try:
            if path == "health":
                return 200, "application/json", '{"status":"healthy"}'
            if path.startswith("$emulator/"):
                return self._control(method, path[len("$emulator/"):], query)
            return self._atom(method, path, query, headers, body, host)
        except (ValueError, ET.ParseError) as exc:
            return self._error(400, str(exc))

    # -- ATOM -------------------------------------------------------------------------------
    def _atom(self, method, path, query, headers, body, host):
        xml = "application/atom+xml;type=entry;charset=utf-8"
        feed = "application/atom+xml;type=feed;charset=utf-8"
        low = path.lower()
        if low == "$namespaceinfo" and method == "GET":
            now = iso(time.time())
            return 200, xml, (
                f'<entry xmlns="{ATOM}"><id>x</id><title type="text">emulator</title>'
                f"<updated>{now}</updated><author><name>emulator</name></author>"
                f'<link rel="self" href="https://{host}/$namespaceinfo"/>'
                f'<content type="application/xml"><NamespaceInfo xmlns="{SB}" '
                'xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
                f"<CreatedTime>{now}</CreatedTime><MessagingSKU>Standard</MessagingSKU>"
                f"<ModifiedTime>{now}</ModifiedTime><Name>emulator</Name>"
                "<NamespaceType>Messaging</NamespaceType></NamespaceInfo></content></entry>")
        if low == "$resources/queues" and method == "GET":
            skip, top = int(query.get("$skip", 0)), int(query.get("$top", 100))
            qs = sorted(self.broker.queues.values(), key=lambda q: q.name.lower())
            page = qs[skip:skip + top]
            more = ""
            if len(qs) > skip + top:
                more = (f'<link rel="next" href="https://{host}/$Resources/queues?'
                        f'$skip={skip + top}&amp;$top={top}&amp;api-version=2021-05"/>')
            return 200, feed, (
                f'<feed xmlns="{ATOM}"><title type="text">Queues</title>'
                f"<id>https://{host}/$Resources/queues</id><updated>{iso(time.time())}</updated>"
                f'<link rel="self" href="https://{host}/$Resources/queues"/>{more}'
                + "".join(queue_entry(q, host, ns=False) for q in page) + "</feed>")
        if low.startswith("$resources/"):
            return 200, feed, (f'<feed xmlns="{ATOM}"><title type="text">none</title>'
                               f"<id>x</id><updated>{iso(time.time())}</updated></feed>")
        q = self.broker.queues.get(low)
        if method == "GET":
            if q is None:                # the service answers an empty feed, not a 404
                return 200, feed, (f'<feed xmlns="{ATOM}"><title type="text">Publicly Listed '
                                   f"Services</title><id>x</id><updated>{iso(time.time())}"
                                   "</updated></feed>")
            return 200, xml, queue_entry(q, host)
        if method == "PUT":
            updating = headers.get("if-match") == "*"
            given = props_from_xml(body)
            if q is not None and not updating:
                return self._error(409, f"SubCode=40900. Conflict: queue '{path}' exists.")
            if q is None and updating:
                return self._error(404, f"SubCode=40400. No queue '{path}'.")
            if q is None:
                q = self.broker.create(path, QueueProps(**given))
                return 201, xml, queue_entry(q, host)
            for attr, val in given.items():
                setattr(q.props, attr, val)
            q.updated = time.time()
            return 200, xml, queue_entry(q, host)
        if method == "DELETE":
            if q is None:
                return self._error(404, f"SubCode=40400. No queue '{path}'.")
            del self.broker.queues[low]
            return 200, "application/xml", ""
        return self._error(405, "Method not allowed")

    # -- test control -----------------------------------------------------------------------
    def _control(self, method, what, query):
        js = "application/json"
        if what == "stats":
            return 200, js, json.dumps({
                "connections": len(self.server.connections), **self.server.counters,
                "faults": list(self.server.faults),
                "queues": {q.name: q.runtime() for q in self.broker.queues.values()}})
        if method != "POST":
            return self._error(405, "POST expected")
        if what == "fail":
            self.server.fail_next(query["op"], query["condition"], query.get("count", 1),
                                  query.get("skip", 0))
            return 200, js, "{}"
        if what == "drop-connections":
            return 200, js, json.dumps({"dropped": self.server.drop_connections()})
        q = self.broker.find(query.get("queue", ""))
        if q is None:
            return self._error(404, "no such queue")
        if what == "expire-locks":
            return 200, js, json.dumps({"expired": q.expire_locks()})
        if what == "purge":
            n = len(q.messages) + len(q.scheduled)
            for st in list(q.messages.values()):
                q._remove(st)
            q.scheduled.clear()
            q.ready.clear()
            return 200, js, json.dumps({"purged": n})
        return self._error(404, "unknown control")
