"""Queue semantics of the emulator: no network, no AMQP links, only messages, locks and time.

Rules implemented (from the public Service Bus documentation):

* a sequence number per message, assigned on enqueue, in order, never reused in an entity;
* peek-lock: a delivered message is locked for LockDuration under a random 16-byte token; the
  token works for complete / abandon / dead-letter / defer / renew until the lock expires;
* abandon and lock expiry add one to the delivery count and put the message back in its place;
  release (a client giving back what it never handled) does not count;
* once the delivery count reaches MaxDeliveryCount the message goes to <queue>/$DeadLetterQueue
  with reason MaxDeliveryCountExceeded;
* TTL: expired messages are dropped, or dead-lettered (TTLExpiredException) where so configured;
  a locked message does not expire;
* scheduled messages get a sequence number when scheduled and a new one when they activate;
* deferred messages are only reachable by sequence number;
* duplicate detection drops (but accepts) a message id seen inside the window;
* sessions: one receiver holds a session lock; messages are given to that receiver only.
"""
from __future__ import annotations

import heapq
import itertools
import os
import time
from collections import OrderedDict, deque

from tests.sb_emulator import codec as c

ACTIVE, DEFERRED, SCHEDULED = 0, 1, 2
DLQ_SUFFIX = "/$deadletterqueue"
MAX_TTL = 922337203685477  # .NET TimeSpan.MaxValue in milliseconds


class SbError(Exception):
    """A refusal with the AMQP condition and HTTP-style status Service Bus answers with."""

    def __init__(self, condition, description, status=500):
        super().__init__(description)
        self.condition = condition
        self.description = description
        self.status = status


def lock_lost():
    return SbError("com.microsoft:message-lock-lost",
                   "The lock supplied is invalid. Either the lock expired, or the message has "
                   "already been removed from the queue.", 410)


def session_lock_lost():
    return SbError("com.microsoft:session-lock-lost",
                   "The session lock has expired on the session. Accept a new session.", 410)


def not_found(name):
    return SbError("amqp:not-found", f"The messaging entity '{name}' could not be found.", 404)


class QueueProps:
    """Settings of a queue; names and defaults are those of the management API."""

    def __init__(self, **kw):
        self.lock_duration = 60.0
        self.max_delivery_count = 10
        self.default_ttl = None                 # seconds, None = never
        self.dead_letter_on_expiration = False
        self.requires_session = False
        self.requires_duplicate_detection = False
        self.dup_window = 600.0
        self.max_message_size = 256 * 1024
        self.forward_to = None
        self.forward_dlq_to = None
        self.user_metadata = None
        self.status = "Active"
        for key, val in kw.items():
            if not hasattr(self, key):
                raise ValueError(f"unknown queue setting {key!r}")
            setattr(self, key, val)


class Stored:
    """A message in a queue."""

    __slots__ = ("seq", "msg", "enqueued_ms", "delivery_count", "state", "expires", "token",
                 "locked_until", "session_id", "scheduled_for", "holder", "size")

    def __init__(self, seq, msg, now):
        self.seq = seq
        self.msg = msg
        self.size = msg.size
        self.enqueued_ms = int(now * 1000)
        self.delivery_count = 0
        self.state = ACTIVE
        self.expires = None
        self.token = None
        self.locked_until = None
        self.session_id = msg.prop(10)
        self.scheduled_for = None
        self.holder = None      # session id whose lock covers this delivery

    def wire(self, with_lock=True):
        ann = {
            "x-opt-sequence-number": self.seq,
            "x-opt-enqueued-time": c.Timestamp(self.enqueued_ms),
            "x-opt-enqueue-sequence-number": self.seq,
        }
        if self.state != ACTIVE:
            ann["x-opt-message-state"] = c.Int(self.state)
        if self.scheduled_for is not None:
            ann["x-opt-scheduled-enqueue-time"] = c.Timestamp(int(self.scheduled_for * 1000))
        if with_lock and self.token is not None:
            ann["x-opt-locked-until"] = c.Timestamp(int(self.locked_until * 1000))
        # No x-opt-lock-token delivery annotation: the lock token is the delivery tag, and for
        # deferred messages only the response's lock-token field has it (azure-sdk #42454).
        return c.encode_message(self.msg, self.delivery_count, ann)


class Session:
    __slots__ = ("sid", "consumer", "locked_until", "state", "ready", "updated")

    def __init__(self, sid):
        self.sid = sid
        self.consumer = None
        self.locked_until = None
        self.state = None
        self.ready = []
        self.updated = 0.0


class Queue:
    def __init__(self, broker, name, props, parent=None):
        self.broker = broker
        self.name = name
        self.props = props
        self.parent = parent                  # set on a dead-letter sub-queue
        self.dlq = None if parent else Queue(broker, name + "/$DeadLetterQueue",
                                             QueueProps(lock_duration=props.lock_duration), self)
        self.messages = {}                    # seq -> Stored (everything but scheduled)
        self.scheduled = {}                   # seq -> Stored
        self.ready = []                       # heap of seqs deliverable without a session
        self.locks = {}                       # token -> Stored
        self.sessions = {}                    # id -> Session (with an entry since first seen)
        self.consumers = deque()              # links that may hold credit
        self.session_waiters = deque()        # links waiting for the next available session
        self.dup = OrderedDict()              # message id -> time
        self.created = self.updated = self.accessed = time.time()
        self._seq = 0
        self.counters = dict(received=0, completed=0, abandoned=0, dead_lettered=0, released=0,
                             deferred=0, lock_expired=0, expired=0, duplicates=0, delivered=0)

    # -- enqueue --------------------------------------------------------------------------
    def next_seq(self):
        self._seq += 1
        return self._seq

    @property
    def sessionful(self):
        return self.props.requires_session and self.parent is None

    def check(self, msg):
        if msg.size > self.props.max_message_size:
            raise SbError("amqp:link:message-size-exceeded",
                          f"The received message (size {msg.size}) exceeds the limit "
                          f"({self.props.max_message_size} bytes).", 400)
        if self.sessionful and msg.prop(10) is None:
            raise SbError("amqp:not-allowed", "The SessionId was not set on a message, and it "
                          "cannot be sent to the entity. Entities that have session support "
                          "enabled can only receive messages that have the SessionId set to a "
                          "valid value.", 400)
        if self.props.status in ("Disabled", "SendDisabled"):
            raise SbError("com.microsoft:entity-disabled",
                          f"The messaging entity '{self.name}' is currently disabled.", 403)

    def _is_duplicate(self, msg, now):
        if not self.props.requires_duplicate_detection:
            return False
        mid = msg.prop(0)
        if mid is None:
            return False
        while self.dup and next(iter(self.dup.values())) < now - self.props.dup_window:
            self.dup.popitem(last=False)
        if mid in self.dup:
            self.counters["duplicates"] += 1
            return True
        self.dup[mid] = now
        return False

    def enqueue(self, msgs, pump=True):
        """Add messages as one unit; raises before storing any of them."""
        now = self.broker.now()
        for m in msgs:
            self.check(m)
        for m in msgs:
            self.counters["received"] += 1
            if self._is_duplicate(m, now):
                continue
            due = m.annotation("x-opt-scheduled-enqueue-time")
            if due is not None and int(due) > now * 1000:
                self._schedule(m, int(due) / 1000.0, now)
            else:
                self._activate(Stored(self.next_seq(), m, now), now)
        self.accessed = now
        if pump:
            self.pump()

    def _activate(self, st, now):
        target = self.broker.forward_target(self)
        if target is not None:
            target.enqueue([st.msg])
            return
        ttl = st.msg.ttl / 1000.0 if st.msg.ttl and st.msg.ttl < 0xFFFFFFFF else None
        if self.props.default_ttl is not None:
            ttl = self.props.default_ttl if ttl is None else min(ttl, self.props.default_ttl)
        st.expires = None if ttl is None or self.parent else now + ttl
        self.messages[st.seq] = st
        self._make_ready(st)
        if st.expires is not None:
            self.broker.at(st.expires, self._expire_message, st.seq)

    def _make_ready(self, st):
        if self.sessionful:
            ses = self.sessions.get(st.session_id)
            if ses is None:
                ses = self.sessions[st.session_id] = Session(st.session_id)
            ses.updated = self.broker.now()
            heapq.heappush(ses.ready, st.seq)
        else:
            heapq.heappush(self.ready, st.seq)

    # -- scheduling -----------------------------------------------------------------------
    def _schedule(self, msg, due, now):
        st = Stored(self.next_seq(), msg, now)
        st.state = SCHEDULED
        st.scheduled_for = due
        self.scheduled[st.seq] = st
        self.broker.at(due, self._due, st.seq)
        return st.seq

    def schedule(self, msgs):
        now = self.broker.now()
        for m in msgs:
            self.check(m)
        out = []
        for m in msgs:
            due = m.annotation("x-opt-scheduled-enqueue-time")
            out.append(self._schedule(m, now if due is None else int(due) / 1000.0, now))
        return out

    def cancel_scheduled(self, seqs):
        missing = [s for s in seqs if s not in self.scheduled]
        if missing:
            raise SbError("com.microsoft:message-not-found",
                          f"Failed to find the scheduled message(s) {missing}.", 404)
        for s in seqs:
            del self.scheduled[s]

    def _due(self, seq):
        st = self.scheduled.pop(seq, None)
        if st is None:
            return
        now = self.broker.now()
        fresh = Stored(self.next_seq(), st.msg, now)
        fresh.scheduled_for = st.scheduled_for
        self._activate(fresh, now)
        self.pump()

    # -- delivery -------------------------------------------------------------------------
    def pump(self):
        """Give ready messages to consumers that hold credit."""
        if self.sessionful:
            while self.session_waiters and self._serve_waiter():
                pass
            for ses in [x for x in self.sessions.values() if x.ready and x.consumer]:
                while ses.ready and ses.consumer and ses.consumer.can_deliver():
                    if not self._deliver_next(ses.ready, ses.consumer, ses):
                        break
            return
        if not self.consumers or self.props.status in ("Disabled", "ReceiveDisabled"):
            return
        idle = 0
        while self.ready and idle < len(self.consumers):
            con = self.consumers[0]
            if not con.can_deliver():
                self.consumers.rotate(-1)
                idle += 1
                continue
            if self._deliver_next(self.ready, con, None):
                idle = 0
                self.consumers.rotate(-1)

    def _deliver_next(self, heap, con, ses):
        now = self.broker.now()
        while heap:
            st = self.messages.get(heapq.heappop(heap))
            if st is None or st.token is not None or st.state != ACTIVE:
                continue                                  # a stale heap entry
            if st.expires is not None and st.expires <= now:
                self._drop_expired(st)
                continue
            self.counters["delivered"] += 1
            if con.settled_mode:                          # receive-and-delete
                wire = st.wire(with_lock=False)
                self._remove(st)
                con.deliver(self, os.urandom(16), wire)
            else:
                self.lock(st, ses)
                con.deliver(self, st.token, st.wire())
            return True
        return False

    def lock(self, st, ses=None):
        now = self.broker.now()
        st.token = os.urandom(16)
        self.locks[st.token] = st
        if ses is not None:
            st.holder = ses.sid
            st.locked_until = ses.locked_until
        else:
            st.holder = None
            st.locked_until = now + self.props.lock_duration
            self.broker.at(st.locked_until, self._lock_timeout, st.token)
        return st.token

    def held(self, token):
        """The message locked under `token`, or the lock-lost error."""
        st = self.locks.get(token)
        if st is None:
            raise lock_lost()
        if st.holder is None and st.locked_until <= self.broker.now():
            self._expire_lock(st)
            raise lock_lost()
        if st.holder is not None:
            ses = self.sessions.get(st.holder)
            if ses is None or ses.consumer is None:
                raise session_lock_lost()
        return st

    def _unlock(self, st):
        self.locks.pop(st.token, None)
        st.token = st.locked_until = st.holder = None

    def _remove(self, st):
        if st.token is not None:
            self._unlock(st)
        self.messages.pop(st.seq, None)

    # -- settlement -----------------------------------------------------------------------
    def complete(self, token):
        self._remove(self.held(token))
        self.counters["completed"] += 1

    def abandon(self, token, annotations=None, count=True):
        st = self.held(token)
        self._merge(st, annotations)
        self.counters["abandoned" if count else "released"] += 1
        self._return(st, count)
        self.pump()

    def defer(self, token, annotations=None):
        st = self.held(token)
        self._merge(st, annotations)
        st.delivery_count += 1
        self._unlock(st)
        st.state = DEFERRED
        self.counters["deferred"] += 1

    def dead_letter(self, token, reason=None, description=None, annotations=None):
        st = self.held(token)
        self._merge(st, annotations)
        self._to_dlq(st, reason, description)

    @staticmethod
    def _merge(st, annotations):
        for key, val in (annotations or {}).items():
            st.msg.set_app_prop(str(key), val)

    def _return(self, st, count):
        """Back to the queue at its place, or to the dead-letter queue."""
        was_deferred = st.state == DEFERRED
        self._unlock(st)
        if count:
            st.delivery_count += 1
        if (count and self.parent is None and st.delivery_count >= self.props.max_delivery_count):
            self._to_dlq(st, "MaxDeliveryCountExceeded",
                         "Message could not be consumed after "
                         f"{self.props.max_delivery_count} delivery attempts.")
        elif not was_deferred:
            self._make_ready(st)

    def _to_dlq(self, st, reason, description):
        self.counters["dead_lettered"] += 1
        self._remove(st)
        if self.parent is not None:      # dead-lettering inside a dead-letter queue: stays there
            self.messages[st.seq] = st
            st.state = ACTIVE
            self._make_ready(st)
            return
        for key, val in (("DeadLetterReason", reason), ("DeadLetterErrorDescription", description)):
            if val is not None:
                st.msg.set_app_prop(key, val)
        st.state = ACTIVE
        st.expires = None
        dlq = self.dlq
        dlq._seq = max(dlq._seq, st.seq)
        target = self.broker.find(self.props.forward_dlq_to) if self.props.forward_dlq_to else None
        if target is not None:
            st.msg.annotations.append(("x-opt-deadletter-source",
                                       c.encode(c.Symbol("x-opt-deadletter-source")),
                                       c.encode(self.name)))
            target.enqueue([st.msg])
            return
        dlq.messages[st.seq] = st
        dlq._make_ready(st)
        dlq.pump()

    # -- timers ---------------------------------------------------------------------------
    def _lock_timeout(self, token):
        st = self.locks.get(token)
        if st is None or st.locked_until is None:
            return
        if st.locked_until > self.broker.now():           # renewed meanwhile
            self.broker.at(st.locked_until, self._lock_timeout, token)
            return
        self._expire_lock(st)
        self.pump()

    def _expire_lock(self, st):
        self.counters["lock_expired"] += 1
        self._return(st, True)

    def expire_locks(self):
        """Fault injection: end every message lock now."""
        n = 0
        for st in [x for x in self.locks.values() if x.holder is None]:
            self._expire_lock(st)
            n += 1
        self.pump()
        return n

    def _expire_message(self, seq):
        st = self.messages.get(seq)
        if st is None or st.expires is None:
            return
        if st.token is not None:                          # locked: look again when it may be back
            self.broker.at(self.broker.now() + 1.0, self._expire_message, seq)
            return
        if st.state == ACTIVE:
            self._drop_expired(st)

    def _drop_expired(self, st):
        self.counters["expired"] += 1
        if self.props.dead_letter_on_expiration:
            self._to_dlq(st, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._remove(st)

    # -- management -----------------------------------------------------------------------
    def renew(self, token):
        st = self.held(token)
        if st.holder is not None:
            raise SbError("amqp:not-allowed", "Renew the session lock instead.", 400)
        st.locked_until = self.broker.now() + self.props.lock_duration
        return int(st.locked_until * 1000)

    def peek(self, from_seq, count, session_id=None):
        now = self.broker.now()
        seqs = sorted(s for d in (self.messages, self.scheduled) for s in d if s >= from_seq)
        out = []
        for seq in seqs:
            st = self.messages.get(seq) or self.scheduled[seq]
            if session_id is not None and st.session_id != session_id:
                continue
            if st.expires is not None and st.expires <= now and st.token is None:
                continue
            out.append(st.wire(with_lock=False))
            if len(out) >= count:
                break
        return out

    def receive_deferred(self, seqs, delete):
        found = []
        for seq in seqs:
            st = self.messages.get(seq)
            if st is None or st.state != DEFERRED or st.token is not None:
                raise SbError("com.microsoft:message-not-found",
                              f"Failed to lock one or more specified messages ({seq}). "
                              "The message does not exist.", 404)
            found.append(st)
        out = []
        for st in found:
            if delete:
                out.append((None, st.wire(with_lock=False)))
                self._remove(st)
            else:
                token = self.lock(st)
                out.append((token, st.wire()))
        return out

    # -- sessions -------------------------------------------------------------------------
    def accept_session(self, con, sid):
        ses = self.sessions.get(sid)
        if ses is None:
            ses = self.sessions[sid] = Session(sid)
        if ses.consumer is not None:
            raise SbError("com.microsoft:session-cannot-be-locked",
                          f"The requested session '{sid}' cannot be accepted. It may be locked by "
                          "another receiver.", 410)
        self._lock_session(ses, con)
        return ses

    def next_session(self):
        for ses in sorted(self.sessions.values(), key=lambda x: x.ready[0] if x.ready else 1 << 62):
            if ses.consumer is None and any(
                    (st := self.messages.get(s)) is not None and st.token is None
                    for s in ses.ready):
                return ses
        return None

    def _serve_waiter(self):
        ses = self.next_session()
        if ses is None:
            return False
        con = self.session_waiters.popleft()
        self._lock_session(ses, con)
        con.session_ready(ses)
        return True

    def _lock_session(self, ses, con):
        ses.consumer = con
        ses.locked_until = self.broker.now() + self.props.lock_duration
        self.broker.at(ses.locked_until, self._session_timeout, ses.sid, con)

    def renew_session(self, sid):
        ses = self.sessions.get(sid)
        if ses is None or ses.consumer is None:
            raise session_lock_lost()
        ses.locked_until = self.broker.now() + self.props.lock_duration
        return int(ses.locked_until * 1000)

    def _session_timeout(self, sid, con):
        ses = self.sessions.get(sid)
        if ses is None or ses.consumer is not con:
            return
        if ses.locked_until > self.broker.now():
            self.broker.at(ses.locked_until, self._session_timeout, sid, con)
            return
        self.release_session(ses, count=True)
        con.session_lost(session_lock_lost())

    def release_session(self, ses, count):
        ses.consumer = None
        ses.locked_until = None
        for st in [x for x in self.locks.values() if x.holder == ses.sid]:
            self._return(st, count)
        self.pump()

    # -- numbers --------------------------------------------------------------------------
    def runtime(self):
        active = sum(1 for x in self.messages.values() if x.state == ACTIVE)
        dead = len(self.dlq.messages) if self.dlq else 0
        return dict(active=active, deferred=len(self.messages) - active, dead_letter=dead,
                    scheduled=len(self.scheduled), locked=len(self.locks),
                    size=sum(x.size for x in self.messages.values()),
                    consumers=len(self.consumers),
                    **{"total_" + k: v for k, v in self.counters.items()})


class Broker:
    """The namespace: queues by case-insensitive name, and one timer heap."""

    def __init__(self, clock=time.time):
        self.queues = {}
        self.now = clock
        self._timers = []
        self._count = itertools.count()
        self.on_timer_change = lambda: None   # set by the server: re-arm the event loop timer

    def create(self, name, props=None):
        key = name.strip("/").lower()
        q = self.queues[key] = Queue(self, name.strip("/"), props or QueueProps())
        return q

    def find(self, path):
        key = path.strip("/").lower()
        if key.endswith(DLQ_SUFFIX):
            q = self.queues.get(key[: -len(DLQ_SUFFIX)])
            return q.dlq if q else None
        return self.queues.get(key)

    def forward_target(self, q):
        return self.find(q.props.forward_to) if q.props.forward_to else None

    def at(self, when, fn, *args):
        heapq.heappush(self._timers, (when, next(self._count), fn, args))
        if self._timers[0][0] == when:
            self.on_timer_change()

    def run_due(self):
        """Run timers that are due; return the time of the next one, or None."""
        while self._timers and self._timers[0][0] <= self.now():
            _, _, fn, args = heapq.heappop(self._timers)
            fn(*args)
        return self._timers[0][0] if self._timers else None
