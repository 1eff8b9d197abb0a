"""Should it run again, and when?"""

from __future__ import annotations

import random
from dataclasses import dataclass

from core.errors import ErrorKind


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, in seconds."""

    base: float = 5.0
    maximum: float = 300.0

    def should_retry(self, kind: ErrorKind) -> bool:
        """Permanent errors come back the same; the others may pass."""
        return kind is not ErrorKind.PERMANENT

    def delay(self, failures: int, source: random.Random) -> float:
        """Seconds to wait after the attempt that made it `failures` failed ones, first 1."""
        ceiling = min(self.maximum, self.base * 2.0 ** min(failures - 1, 30))
        return source.uniform(ceiling / 2, ceiling)
