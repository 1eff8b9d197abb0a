import random

import pytest

from core.machine.retries import RetryPolicy


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 5), (2, 10), (3, 20), (7, 300), (100, 300)])
def test_delay_doubles_up_to_the_maximum_and_is_spread_over_its_upper_half(failures: int, ceiling: float) -> None:
    source = random.Random(1)
    delays = [RetryPolicy(5, 300).delay(failures, source) for _ in range(500)]
    assert ceiling / 2 <= min(delays) < ceiling * 0.55
    assert ceiling * 0.95 < max(delays) <= ceiling
