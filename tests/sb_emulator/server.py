"""AMQP 1.0 endpoint of the emulator: connections, sessions, links, $cbs and $management.

Written from the OASIS AMQP 1.0 transport/security parts and Microsoft's two protocol articles
("AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide" and "AMQP 1.0 in Azure Service
Bus: request-response-based operations").
"""
from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import struct
import time
import urllib.parse
import uuid
from collections import deque

from tests.sb_emulator import codec as c
from tests.sb_emulator.broker import Broker, SbError, lock_lost, not_found, session_lock_lost

log = logging.getLogger("sb_emulator")

AMQP_HDR = b"AMQP\x00\x01\x00\x00"
SASL_HDR = b"AMQP\x03\x01\x00\x00"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
BATCH_FORMAT = 0x80013700
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
WINDOW = 5000                 # session window we grant
SENDER_CREDIT = 1000          # link credit we grant to a client's sender
TICKS_EPOCH = 621355968000000000
SESSION_FILTER = "com.microsoft:session-filter"

ACCEPTED = c.Raw(c.encode(c.Described(c.ULong(0x24), [])))
RELEASED = c.Raw(c.encode(c.Described(c.ULong(0x26), [])))
REJECTED = c.Raw(c.encode(c.Described(c.ULong(0x25), [])))


def amqp_error(exc: SbError):
    return c.Described(c.ULong(0x1D), [c.Symbol(exc.condition), exc.description, None])


def rejected(exc: SbError):
    return c.Raw(c.encode(c.Described(c.ULong(0x25), [amqp_error(exc)])))


def strip_address(addr):
    """'amqps://host:port/a/b' or 'sb://…' or 'a/b' -> 'a/b'."""
    if addr is None:
        return ""
    if "://" in addr:
        addr = addr.split("://", 1)[1]
        addr = addr.split("/", 1)[1] if "/" in addr else ""
    return addr.strip("/")


def pad(fields, n):
    return list(fields) + [None] * (n - len(fields))


class OutLink:
    """A link on which the client receives: an entity consumer, or a $cbs/$management reply link."""

    def __init__(self, session, name, handle, node, queue=None):
        self.session = session
        self.name = name
        self.handle = handle
        self.node = node
        self.queue = queue
        self.reply_to = None
        self.credit = 0
        self.delivery_count = 0
        self.drain = False
        self.settled_mode = False
        self.backlog = deque()        # management replies waiting for credit
        self.sb_session = None        # the Service Bus session this link holds
        self.pending_attach = None    # attach fields kept while waiting for a session
        self.attached = True

    # consumer interface used by the broker
    def can_deliver(self):
        s = self.session
        return self.credit > 0 and s.remote_window > 0 and not s.out_queue and self.attached

    def deliver(self, queue, token, wire):
        ses = self.session
        did = ses.send_transfer(self, token, wire, settled=self.settled_mode)
        if not self.settled_mode:
            ses.unsettled[did] = (queue, token, self)

    def session_ready(self, sb_session):
        fields = self.pending_attach
        self.pending_attach = None
        self.sb_session = sb_session
        self.session.finish_session_attach(self, fields)
        self.queue.pump()

    def session_lost(self, exc):
        self.sb_session = None
        self.session.detach_link(self, exc)

    def reply(self, wire):
        self.backlog.append(wire)
        self.flush_replies()

    def flush_replies(self):
        while self.backlog and self.credit > 0:
            self.session.send_transfer(self, struct.pack(">I", self.delivery_count),
                                       self.backlog.popleft(), settled=True)

    def on_flow(self, delivery_count, credit, drain):
        if credit is not None:
            base = delivery_count if delivery_count is not None else self.delivery_count
            self.credit = max(0, (base + credit) - self.delivery_count)
        self.drain = bool(drain)
        if self.queue is not None:
            self.queue.pump()
        else:
            self.flush_replies()
        if self.drain and self.credit:
            self.delivery_count += self.credit
            self.credit = 0
            self.session.send_flow(self, drain=True)

    def closed(self):
        """The link is gone. Locks stay until they expire, as in the real service."""
        self.attached = False
        q = self.queue
        if q is None:
            return
        for group in (q.consumers, q.session_waiters):
            try:
                group.remove(self)
            except ValueError:
                pass
        if self.sb_session is not None and self.sb_session.consumer is self:
            ses, self.sb_session = self.sb_session, None
            q.release_session(ses, count=False)


class InLink:
    """A link on which the client sends: to an entity, or requests to $cbs/$management."""

    def __init__(self, session, name, handle, node, queue=None):
        self.session = session
        self.name = name
        self.handle = handle
        self.node = node
        self.queue = queue
        self.credit = SENDER_CREDIT
        self.delivery_count = 0
        self.partial = None
        self.first = None

    def closed(self):
        self.partial = None


class AmqpSession:
    def __init__(self, conn, channel, begin):
        self.conn = conn
        self.channel = channel
        self.next_incoming = int(begin[1] or 0)
        self.remote_window = int(begin[2] if begin[2] is not None else 1)
        self.incoming_left = WINDOW
        self.next_outgoing = 1
        self.next_delivery = 1
        self.links_in = {}          # client's handle -> link
        self.handle_count = 0
        self.unsettled = {}         # our delivery id -> (queue, token, link)
        self.out_queue = deque()    # transfers held back by the session window

    # -- sending ----------------------------------------------------------------------------
    def write(self, code, fields, payload=b""):
        self.conn.write(c.frame(self.channel, code, fields, payload))

    def send_transfer(self, link, tag, wire, settled):
        did = self.next_delivery
        self.next_delivery += 1
        link.credit -= 1
        link.delivery_count += 1
        room = self.conn.remote_max_frame - 64
        head = [c.UInt(link.handle), c.UInt(did), tag, c.UInt(0), settled, False,
                None, None, None, None, None]
        if len(wire) <= room:
            self._push(head, wire)
            return did
        for pos in range(0, len(wire), room):
            part = wire[pos:pos + room]
            more = pos + room < len(wire)
            if pos == 0:
                fields = list(head)
            else:
                fields = [c.UInt(link.handle), None, None, None, None, None,
                          None, None, None, None, None]
            fields[5] = more
            self._push(fields, part)
        return did

    def _push(self, fields, payload):
        if self.remote_window > 0 and not self.out_queue:
            self.remote_window -= 1
            self.next_outgoing = (self.next_outgoing + 1) & 0xFFFFFFFF
            self.write(TRANSFER, fields, payload)
        else:
            self.out_queue.append((fields, payload))

    def send_flow(self, link=None, drain=False):
        self.incoming_left = WINDOW
        fields = [c.UInt(self.next_incoming & 0xFFFFFFFF), c.UInt(WINDOW),
                  c.UInt(self.next_outgoing), c.UInt(WINDOW)]
        if link is None:
            fields += [None] * 7
        else:
            fields += [c.UInt(link.handle), c.UInt(link.delivery_count & 0xFFFFFFFF),
                       c.UInt(link.credit), c.UInt(0), drain, False, None]
        self.write(FLOW, fields)

    # -- attach / detach --------------------------------------------------------------------
    def on_attach(self, f):
        f = pad(f, 14)
        name, client_handle, client_is_receiver = f[0], int(f[1]), f[2]
        source = pad(f[5].value, 11) if isinstance(f[5], c.Described) else None
        target_raw = f[6]
        handle = self.handle_count
        self.handle_count += 1
        try:
            if isinstance(target_raw, c.Described) and int(target_raw.descriptor) == 0x30:
                raise SbError("amqp:not-implemented", "The emulator has no transactions.", 501)
            target = pad(target_raw.value, 7) if isinstance(target_raw, c.Described) else None
            if client_is_receiver:
                link = self._attach_out(f, name, handle, source, target)
            else:
                link = self._attach_in(f, name, handle, source, target)
        except SbError as exc:
            # The documented refusal: an attach without source and target, then the detach.
            self.write(ATTACH, self._attach_fields(name, handle, not client_is_receiver, f,
                                                   None, None, None))
            self.write(DETACH, [c.UInt(handle), True, amqp_error(exc)])
            return
        self.links_in[client_handle] = link

    def _attach_fields(self, name, handle, role, f, source, target, props, max_size=None):
        return [name, c.UInt(handle), role, c.UByte(f[3] if f[3] is not None else 2),
                c.UByte(f[4] or 0),
                None if source is None else c.Described(c.ULong(0x28), source),
                None if target is None else c.Described(c.ULong(0x29), target),
                None, None, None if role else c.UInt(0),
                None if max_size is None else c.ULong(max_size), None, None, props]

    def _resolve(self, address, right):
        """(node kind, queue) for a link address."""
        path = strip_address(address)
        low = path.lower()
        if low == "$cbs":
            return "$cbs", None
        self.conn.check_authorized(path, right)
        if low.endswith("/$management"):
            q = self.conn.server.broker.find(path[: -len("/$management")])
            if q is None:
                raise not_found(path)
            return low, q
        q = self.conn.server.broker.find(path)
        if q is None:
            raise not_found(path)
        return low, q

    def _attach_in(self, f, name, handle, source, target):
        node, q = self._resolve(target[0] if target else None, "Send")
        if q is not None and not node.endswith("/$management") and q.parent is not None:
            raise SbError("amqp:not-allowed", "Cannot send to a dead-letter queue.", 400)
        link = InLink(self, name, handle, node, q)
        size = q.props.max_message_size if q is not None else 1024 * 1024
        props = None
        if q is not None:
            props = {c.Symbol("com.microsoft:max-message-batch-size"):
                     c.ULong(min(size, 1024 * 1024))}
        self.write(ATTACH, self._attach_fields(name, handle, True, f,
                                               source or pad([], 11), target, props, size))
        self.send_flow(link)
        return link

    def _attach_out(self, f, name, handle, source, target):
        node, q = self._resolve(source[0] if source else None, "Listen")
        link = OutLink(self, name, handle, node, q)
        link.reply_to = target[0] if target else None
        link.settled_mode = f[3] == 1
        target = target or pad([], 7)
        if q is None or node.endswith("/$management"):
            link.queue = None
            self.write(ATTACH, self._attach_fields(name, handle, False, f, source, target, None,
                                                   1024 * 1024))
            return link
        filters = source[7] if isinstance(source[7], dict) else {}
        wants_session = SESSION_FILTER in filters
        if q.sessionful and not wants_session:
            raise SbError("amqp:not-allowed", "It is not possible for an entity that requires "
                          "sessions to create a non-sessionful message receiver.", 400)
        if wants_session and not q.sessionful:
            raise SbError("amqp:not-allowed", "A sessionful message receiver cannot be created on "
                          "an entity that does not require sessions.", 400)
        if not wants_session:
            q.consumers.append(link)
            self.write(ATTACH, self._attach_fields(name, handle, False, f, source, target, None,
                                                   q.props.max_message_size))
            return link
        sid = filters[SESSION_FILTER]
        if isinstance(sid, c.Described):
            sid = sid.value
        link.attached = False
        fields = (name, handle, f, source, target)
        if sid is not None:
            link.sb_session = q.accept_session(link, sid)
            self.finish_session_attach(link, fields)
            return link
        link.pending_attach = fields
        props = f[13] if isinstance(f[13], dict) else {}
        timeout = props.get("com.microsoft:timeout")
        timeout = int(timeout) / 1000.0 if timeout else 60.0
        q.session_waiters.append(link)
        self.conn.server.loop.call_later(timeout, self._session_wait_over, link)
        q.pump()
        return link

    def finish_session_attach(self, link, fields):
        name, handle, f, source, target = fields
        ses = link.sb_session
        source = list(source)
        source[7] = {c.Symbol(SESSION_FILTER): ses.sid}
        props = {c.Symbol("com.microsoft:locked-until-utc"):
                 int(ses.locked_until * 10_000_000) + TICKS_EPOCH}
        self.write(ATTACH, self._attach_fields(name, handle, False, f, source, target, props,
                                               link.queue.props.max_message_size))
        link.attached = True

    def _session_wait_over(self, link):
        if link.pending_attach is None or link not in link.queue.session_waiters:
            return
        link.queue.session_waiters.remove(link)
        name, handle, f, source, target = link.pending_attach
        link.pending_attach = None
        self.write(ATTACH, self._attach_fields(name, handle, False, f, None, None, None))
        self.detach_link(link, SbError(
            "com.microsoft:timeout", "The operation did not complete within the allotted timeout: "
            "no session with messages became available.", 408))

    def detach_link(self, link, exc):
        self.write(DETACH, [c.UInt(link.handle), True, amqp_error(exc)])
        link.closed()

    def on_detach(self, f):
        link = self.links_in.pop(int(f[0]), None)
        if link is None:
            return
        was_attached = getattr(link, "attached", True)
        link.closed()
        if was_attached:
            self.write(DETACH, [c.UInt(link.handle), True if len(f) > 1 and f[1] else False, None])

    def close(self):
        for link in list(self.links_in.values()):
            link.closed()
        self.links_in.clear()
        self.unsettled.clear()

    # -- flow -------------------------------------------------------------------------------
    def on_flow(self, f):
        f = pad(f, 11)
        base = int(f[0]) if f[0] is not None else 1
        self.remote_window = base + int(f[1]) - self.next_outgoing
        while self.out_queue and self.remote_window > 0:
            fields, payload = self.out_queue.popleft()
            self.remote_window -= 1
            self.next_outgoing = (self.next_outgoing + 1) & 0xFFFFFFFF
            self.write(TRANSFER, fields, payload)
        if f[4] is not None:
            link = self.links_in.get(int(f[4]))
            if isinstance(link, OutLink):
                link.on_flow(None if f[5] is None else int(f[5]),
                             None if f[6] is None else int(f[6]), f[8])
            if link is not None and f[9]:
                self.send_flow(link)
        else:
            for link in list(self.links_in.values()):
                if isinstance(link, OutLink) and link.queue is not None:
                    link.queue.pump()
            if f[9]:
                self.send_flow()

    # -- incoming transfers -----------------------------------------------------------------
    def on_transfer(self, f, payload):
        self.next_incoming += 1
        self.incoming_left -= 1
        link = self.links_in.get(int(f[0]))
        if not isinstance(link, InLink):
            self.write(END, [amqp_error(SbError("amqp:session:unattached-handle",
                                                "Transfer on an unattached handle."))])
            self.close()
            return
        f = pad(f, 11)
        if link.partial is None:
            link.partial = bytearray() if f[5] else None
            link.first = f
        if link.partial is not None:
            link.partial += payload
            if f[5]:
                if self.incoming_left < WINDOW // 2:
                    self.send_flow()
                return
            payload = bytes(link.partial)
            link.partial = None
        first = link.first
        if f[9]:
            return                                        # aborted
        link.delivery_count += 1
        link.credit -= 1
        state = self._handle_delivery(link, first, payload)
        if state is not None and not first[4]:
            did = c.UInt(int(first[1]))
            self.write(DISPOSITION, [True, did, did, True, state, None])
        if link.credit < SENDER_CREDIT // 2:
            link.credit = SENDER_CREDIT
            self.send_flow(link)
        elif self.incoming_left < WINDOW // 2:
            self.send_flow()

    def _handle_delivery(self, link, first, payload):
        server = self.conn.server
        try:
            if link.node == "$cbs":
                self.on_cbs(link, c.parse_message(payload))
                return ACCEPTED
            if link.node.endswith("/$management"):
                server.counters["mgmt"] += 1
                self.on_management(link, c.parse_message(payload))
                return ACCEPTED
            fault = server.take_fault("send")
            if fault == "drop-before":
                self.conn.abort()
                return None
            if fault and fault != "drop-after":
                raise SbError(fault, "Injected by the test.", 503)
            if len(payload) > link.queue.props.max_message_size:
                raise SbError("amqp:link:message-size-exceeded",
                              f"The received message (delivery-id:{first[1]}, size:{len(payload)} "
                              f"bytes) exceeds the limit ({link.queue.props.max_message_size} "
                              "bytes) currently allowed on the link.", 400)
            if first[3] is not None and int(first[3]) == BATCH_FORMAT:
                envelope = c.parse_message(payload)
                msgs = [c.parse_message(raw) for raw in envelope.data_sections()]
            else:
                msgs = [c.parse_message(payload)]
            server.counters["sent"] += len(msgs)
            link.queue.enqueue(msgs)
            if fault == "drop-after":
                self.conn.abort()
                return None
            return ACCEPTED
        except SbError as exc:
            return rejected(exc)
        except c.CodecError as exc:
            return rejected(SbError("amqp:decode-error", str(exc), 400))

    # -- incoming dispositions --------------------------------------------------------------
    def on_disposition(self, f):
        f = pad(f, 6)
        if not f[0]:
            return                     # from a sender: our replies need no outcome
        first = int(f[1])
        last = first if f[2] is None else int(f[2])
        if last - first < 10_000:
            ids = [i for i in range(first, last + 1) if i in self.unsettled]
        else:
            ids = sorted(i for i in self.unsettled if first <= i <= last)
        fault = self.conn.server.take_fault("settle") if ids else None
        if fault == "drop-before":
            self.conn.abort()
            return
        replies = []
        for did in ids:
            queue, token, _ = self.unsettled[did]
            try:
                if fault and fault != "drop-after":
                    raise SbError(fault, "Injected by the test.", 503)
                outcome = self.settle(queue, token, f[4])
            except SbError as exc:
                outcome = rejected(exc)
            if outcome is None:
                continue               # not a terminal state
            del self.unsettled[did]
            replies.append((did, outcome))
        if fault == "drop-after":
            self.conn.abort()
            return
        if f[3]:
            return                     # the client settled already and expects no answer
        known = set(ids)
        for did in range(first, min(last, first + 10_000) + 1):
            if did not in known and did < self.next_delivery:
                replies.append((did, rejected(lock_lost())))
        replies.sort(key=lambda r: r[0])
        i = 0
        while i < len(replies):
            j = i
            while (j + 1 < len(replies) and replies[j + 1][0] == replies[j][0] + 1
                   and replies[j + 1][1] == replies[i][1]):
                j += 1
            self.write(DISPOSITION, [False, c.UInt(replies[i][0]), c.UInt(replies[j][0]), True,
                                     replies[i][1], None])
            i = j + 1

    @staticmethod
    def settle(queue, token, state):
        """Apply a delivery state; return the outcome to confirm."""
        if state is None:
            queue.complete(token)
            return ACCEPTED
        code = int(state.descriptor) if not isinstance(state.descriptor, str) else {
            "amqp:accepted:list": 0x24, "amqp:rejected:list": 0x25, "amqp:released:list": 0x26,
            "amqp:modified:list": 0x27}.get(str(state.descriptor), 0)
        val = state.value if isinstance(state.value, list) else []
        if code == 0x24:
            queue.complete(token)
            return ACCEPTED
        if code == 0x25:
            reason = description = None
            extra = {}
            if val and isinstance(val[0], c.Described):
                err = pad(val[0].value, 3)
                description = err[1]
                if isinstance(err[2], dict):
                    extra = dict(err[2])
                    reason = extra.pop("DeadLetterReason", None)
                    description = extra.pop("DeadLetterErrorDescription", description)
            queue.dead_letter(token, reason, description, extra)
            return REJECTED
        if code == 0x26:
            queue.abandon(token, count=False)
            return RELEASED
        if code == 0x27:
            failed, undeliverable, ann = pad(val, 3)[:3]
            if undeliverable:
                queue.defer(token, ann)
            else:
                queue.abandon(token, ann, count=True)
            return c.Raw(c.encode(c.Described(c.ULong(0x27), [failed, undeliverable, ann])))
        return None

    # -- request/response nodes ---------------------------------------------------------------
    def _reply_link(self, node, reply_to):
        best = None
        for link in self.links_in.values():
            if isinstance(link, OutLink) and link.node == node:
                if reply_to is not None and link.reply_to == reply_to:
                    return link
                best = best or link
        if best is None:
            for ses in self.conn.sessions.values():
                for link in ses.links_in.values():
                    if isinstance(link, OutLink) and link.node == node:
                        return link
        return best

    def on_cbs(self, link, req):
        props = {k: c.decode(v, 0)[0] for k, _, v in (req.app_props or [])}
        status, text = 202, "Accepted"
        if props.get("operation") != "put-token":
            status, text = 400, "Unknown operation."
        else:
            ok, why = self.conn.server.check_token(req.value())
            if ok:
                self.conn.tokens.add(strip_address(str(props.get("name", ""))).lower())
            else:
                status, text = 401, why
        self._answer("$cbs", req, {"status-code": c.Int(status), "status-description": text}, None)

    def _answer(self, node, req, app_props, body):
        link = self._reply_link(node, req.prop(4))
        if link is None:
            log.warning("no reply link on %s", node)
            return
        link.reply(c.encode_response(req.prop(0), app_props, body))

    def on_management(self, link, req):
        props = {k: c.decode(v, 0)[0] for k, _, v in (req.app_props or [])}
        op = str(props.get("operation", ""))
        short = op.rsplit(":", 1)[-1]
        body = req.value()
        body = body if isinstance(body, dict) else {}
        try:
            fault = self.conn.server.take_fault(short)
            if fault in ("drop-before", "drop-after"):
                self.conn.abort()
                return
            if fault:
                raise SbError(fault, "Injected by the test.", 503)
            handler = getattr(self, "op_" + short.replace("-", "_"), None)
            if handler is None or not op.startswith("com.microsoft:"):
                raise SbError("amqp:not-implemented", f"Operation '{op}' is not supported.", 501)
            status, result = handler(link.queue, body)
            out = {"statusCode": c.Int(status), "statusDescription": "OK"}
        except SbError as exc:
            result = None
            out = {"statusCode": c.Int(exc.status), "statusDescription": exc.description,
                   "errorCondition": c.Symbol(exc.condition)}
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            result = None
            out = {"statusCode": c.Int(400), "statusDescription": f"Bad request: {exc!r}",
                   "errorCondition": c.Symbol("com.microsoft:argument-error")}
        self._answer(link.node, req, out, result)

    @staticmethod
    def op_renew_lock(q, body):
        exp = [q.renew(t.bytes_le) for t in body["lock-tokens"]]
        return 200, {"expirations": c.Array("timestamp", exp)}

    @staticmethod
    def op_peek_message(q, body):
        found = q.peek(int(body["from-sequence-number"]), int(body["message-count"]),
                       body.get("session-id"))
        if not found:
            return 204, {"messages": []}
        return 200, {"messages": [{"message": m} for m in found]}

    @staticmethod
    def op_schedule_message(q, body):
        if q.parent is not None:
            raise SbError("amqp:not-allowed", "Cannot send to a dead-letter queue.", 400)
        msgs = [c.parse_message(m["message"]) for m in body["messages"]]
        return 200, {"sequence-numbers": c.Array("long", q.schedule(msgs))}

    @staticmethod
    def op_cancel_scheduled_message(q, body):
        q.cancel_scheduled([int(s) for s in body["sequence-numbers"]])
        return 200, None

    @staticmethod
    def op_receive_by_sequence_number(q, body):
        delete = int(body.get("receiver-settle-mode", 1)) == 0
        out = []
        for token, wire in q.receive_deferred([int(s) for s in body["sequence-numbers"]], delete):
            item = {"message": wire}
            if token is not None:
                item["lock-token"] = uuid.UUID(bytes_le=token)
            out.append(item)
        return 200, {"messages": out}

    @staticmethod
    def op_update_disposition(q, body):
        status = body["disposition-status"]
        for tok in body["lock-tokens"]:
            token = tok.bytes_le
            modify = body.get("properties-to-modify")
            if status == "completed":
                q.complete(token)
            elif status == "abandoned":
                q.abandon(token, modify)
            elif status in ("defered", "deferred"):
                q.defer(token, modify)
            elif status == "suspended":
                q.dead_letter(token, body.get("deadletter-reason"),
                              body.get("deadletter-description"), modify)
            else:
                raise SbError("com.microsoft:argument-error", f"Bad status {status!r}.", 400)
        return 200, None

    @staticmethod
    def op_renew_session_lock(q, body):
        return 200, {"expiration": c.Timestamp(q.renew_session(body["session-id"]))}

    @staticmethod
    def op_get_session_state(q, body):
        ses = q.sessions.get(body["session-id"])
        if ses is None or ses.consumer is None:
            raise session_lock_lost()
        return 200, {"session-state": ses.state}

    @staticmethod
    def op_set_session_state(q, body):
        ses = q.sessions.get(body["session-id"])
        if ses is None or ses.consumer is None:
            raise session_lock_lost()
        ses.state = body.get("session-state")
        return 200, None

    @staticmethod
    def op_get_message_sessions(q, body):
        ids = sorted(s.sid for s in q.sessions.values() if s.ready or s.state is not None)
        skip, top = int(body.get("skip", 0)), int(body.get("top", 100))
        page = ids[skip:skip + top]
        if not page:
            return 204, {"skip": c.Int(skip), "sessions-ids": []}
        return 200, {"skip": c.Int(skip + len(page)), "sessions-ids": c.Array("string", page)}


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.buf = bytearray()
        self.phase = "header"
        self.sessions = {}
        self.remote_max_frame = 512
        self.tokens = set()
        self.transport = None
        self.out = []
        self.flush_pending = False
        self.heartbeat = None
        self.container = None

    # -- transport --------------------------------------------------------------------------
    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            import socket as s
            try:
                sock.setsockopt(s.IPPROTO_TCP, s.TCP_NODELAY, 1)
            except OSError:
                pass

    def connection_lost(self, exc):
        self.server.connections.discard(self)
        if self.heartbeat:
            self.heartbeat.cancel()
        for ses in list(self.sessions.values()):
            ses.close()
        self.sessions.clear()

    def abort(self):
        if self.transport:
            self.transport.abort()

    def write(self, data):
        self.out.append(data)
        if not self.flush_pending:
            self.flush_pending = True
            self.server.loop.call_soon(self.flush)

    def flush(self):
        self.flush_pending = False
        if self.out and self.transport and not self.transport.is_closing():
            self.transport.write(b"".join(self.out))
        self.out.clear()

    def data_received(self, data):
        self.buf += data
        try:
            self._parse()
        except Exception as exc:                       # noqa: BLE001 - a broken peer, not us
            log.exception("protocol error from %s", self.container)
            self.write(c.frame(0, CLOSE, [amqp_error(SbError("amqp:decode-error", repr(exc)))]))
            self.flush()
            self.transport.close()

    def _parse(self):
        buf = self.buf
        pos = 0
        while True:
            left = len(buf) - pos
            if left < 8:
                break
            if buf[pos:pos + 4] == b"AMQP":
                self._on_header(bytes(buf[pos:pos + 8]))
                pos += 8
                continue
            size, doff, ftype, channel = struct.unpack_from(">IBBH", buf, pos)
            if size < 8 or size > 4 * 1024 * 1024:
                raise c.CodecError(f"bad frame size {size}")
            if left < size:
                break
            body = bytes(buf[pos + doff * 4:pos + size])
            pos += size
            if body:
                perf, off = c.decode(body, 0)
                self._on_frame(ftype, channel, int(perf.descriptor), perf.value, body, off)
        if pos:
            del buf[:pos]

    def _on_header(self, hdr):
        if hdr == SASL_HDR:
            self.write(SASL_HDR)
            self.write(c.frame(0, SASL_MECHANISMS, [c.Array(
                "symbol", ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"])], frame_type=1))
            self.phase = "sasl"
        elif hdr == AMQP_HDR:
            self.write(AMQP_HDR)
            self.phase = "amqp"
        else:                        # TLS upgrade or another version: offer what we speak
            self.write(SASL_HDR)
            self.flush()
            self.transport.close()

    def _on_frame(self, ftype, channel, code, f, body, off):
        if ftype == 1:
            if code == SASL_INIT:
                self.write(c.frame(0, SASL_OUTCOME, [c.UByte(0), None], frame_type=1))
            return
        if self.server.trace:
            log.debug("<- ch=%d 0x%x %r payload=%d", channel, code, f, len(body) - off)
        if code == TRANSFER:
            self.sessions[channel].on_transfer(f, body[off:])
        elif code == DISPOSITION:
            self.sessions[channel].on_disposition(f)
        elif code == FLOW:
            self.sessions[channel].on_flow(f)
        elif code == ATTACH:
            self.sessions[channel].on_attach(f)
        elif code == DETACH:
            ses = self.sessions.get(channel)
            if ses:
                ses.on_detach(f)
        elif code == BEGIN:
            self.sessions[channel] = AmqpSession(self, channel, pad(f, 8))
            self.write(c.frame(channel, BEGIN, [c.UShort(channel), c.UInt(1), c.UInt(WINDOW),
                                                c.UInt(WINDOW), c.UInt(255), None, None, None]))
        elif code == END:
            ses = self.sessions.pop(channel, None)
            if ses:
                ses.close()
                self.write(c.frame(channel, END, [None]))
        elif code == OPEN:
            f = pad(f, 10)
            self.container = f[0]
            self.remote_max_frame = max(512, min(int(f[2]) if f[2] is not None else 1 << 32,
                                                 self.server.max_frame))
            self.write(c.frame(0, OPEN, [self.server.container_id, None,
                                         c.UInt(self.server.max_frame), c.UShort(4999),
                                         c.UInt(240000), None, None, None, None, None]))
            if f[4]:
                self._beat(max(0.5, int(f[4]) / 2000.0))
        elif code == CLOSE:
            self.write(c.frame(0, CLOSE, [None]))
            self.flush()
            self.transport.close()

    def _beat(self, every):
        if self.transport and not self.transport.is_closing():
            self.transport.write(EMPTY_FRAME)
            self.heartbeat = self.server.loop.call_later(every, self._beat, every)

    def check_authorized(self, path, right):
        if self.server.keys is None:
            return
        low = path.lower()
        if not any(t == "" or low == t or low.startswith(t + "/") for t in self.tokens):
            raise SbError("amqp:unauthorized-access",
                          f"Unauthorized access. '{right}' claim(s) are required to perform this "
                          f"operation. Resource: '{path}'.", 401)


class Server:
    def __init__(self, broker=None, keys=None, max_frame=65536, trace=False):
        self.broker = broker or Broker()
        self.keys = keys                 # {policy: key} to verify SAS signatures, None: accept all
        self.max_frame = max_frame
        self.trace = trace
        self.container_id = uuid.uuid4().hex
        self.connections = set()
        self.faults = {}
        self.counters = {"sent": 0, "mgmt": 0}
        self.loop = None
        self._timer = None
        self._listeners = []

    async def start(self, host="127.0.0.1", port=5672, ssl=None):
        self.loop = asyncio.get_running_loop()
        self.broker.on_timer_change = self._arm
        srv = await self.loop.create_server(lambda: Connection(self), host, port, ssl=ssl)
        self._listeners.append(srv)
        self._arm()
        return srv.sockets[0].getsockname()[1]

    async def stop(self):
        for srv in self._listeners:
            srv.close()
        for conn in list(self.connections):
            conn.abort()
        if self._timer:
            self._timer.cancel()

    def _arm(self):
        if self._timer:
            self._timer.cancel()
            self._timer = None
        timers = self.broker._timers
        if timers and self.loop:
            delay = max(0.0, timers[0][0] - self.broker.now())
            self._timer = self.loop.call_later(delay + 0.001, self._tick)

    def _tick(self):
        self._timer = None
        self.broker.run_due()
        self._arm()

    # -- SAS --------------------------------------------------------------------------------
    def check_token(self, token):
        if self.keys is None:
            return True, ""
        # Judged by its content: the Python SDK labels SAS tokens "jwt".
        if not isinstance(token, str) or not token.startswith("SharedAccessSignature "):
            return False, "Only SAS tokens are understood."
        parts = dict(urllib.parse.parse_qsl(token.split(" ", 1)[1]))
        key = self.keys.get(parts.get("skn", ""))
        if key is None:
            return False, "InvalidSignature: unknown policy."
        if int(parts.get("se", "0")) < time.time():
            return False, "ExpiredToken."
        text = urllib.parse.quote_plus(parts.get("sr", "")) + "\n" + parts["se"]
        want = base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())
        if not hmac.compare_digest(want.decode(), parts.get("sig", "")):
            return False, "InvalidSignature: The token has an invalid signature."
        return True, ""

    # -- fault injection ----------------------------------------------------------------------
    def fail_next(self, op, condition, count=1, skip=0):
        """Fail `count` operations of kind `op` after letting `skip` of them pass."""
        self.faults[op] = [condition, int(count), int(skip)]

    def take_fault(self, op):
        entry = self.faults.get(op)
        if entry is None:
            return None
        if entry[2] > 0:
            entry[2] -= 1
            return None
        entry[1] -= 1
        if entry[1] <= 0:
            self.faults.pop(op, None)
        return entry[0]

    def drop_connections(self):
        n = len(self.connections)
        for conn in list(self.connections):
            conn.abort()
        return n
