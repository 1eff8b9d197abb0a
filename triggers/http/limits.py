"""How many requests may a caller send? A token bucket each, in this process's memory."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import RateLimited

_MOST = 20_000  #: callers remembered; who was silent longest is forgotten, and starts with a full bucket


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class TokenBuckets:
    """Buckets of `burst` tokens that fill at `rate` per second. A rate of 0 means no limit."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Take a token out of the caller's bucket. Raises RateLimited when it is empty."""
        self._want(caller, taken=1)

    def require(self, caller: str) -> None:
        """Raise RateLimited when the caller's bucket is empty; takes nothing."""
        self._want(caller, taken=0)

    def _want(self, caller: str, *, taken: int) -> None:
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            bucket = self._buckets.pop(caller, None) or _Bucket(self._burst, now)
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
            bucket.filled_at = now
            self._buckets[caller] = bucket
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
            if bucket.tokens >= 1:
                bucket.tokens -= taken
                return
            wait = math.ceil((1 - bucket.tokens) / self._rate)
        raise RateLimited(
            "Too many requests.", hint=f"Send at most {self._rate:g} a second; try again in {wait} s.", retry_after=wait
        )
