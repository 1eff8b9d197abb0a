"""When does a failed attempt run again? Whether it does is `app.decide`'s to say, where the failure is recorded."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff in seconds, half of it random."""

    base: float = 5.0
    maximum: float = 300.0

    def delay(self, failures: int, source: random.Random) -> float:
        """Seconds to wait after the attempt that made it `failures` failed ones, first 1."""
        ceiling = min(self.maximum, self.base * 2.0 ** min(failures - 1, 30))
        return source.uniform(ceiling / 2, ceiling)
