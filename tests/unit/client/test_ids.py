"""Ids that the SDK makes."""

import time
from uuid import RFC_4122, UUID

from comby.client._ids import new_id


def test_an_id_tells_its_time_and_is_like_no_other() -> None:
    before = time.time_ns() // 1_000_000
    made = [UUID(new_id()) for _ in range(1_000)]
    after = time.time_ns() // 1_000_000

    assert {(7, RFC_4122)} == {(one.version, one.variant) for one in made}
    assert all(before <= one.int >> 80 <= after for one in made)
    assert 1_000 == len({one.int & (1 << 62) - 1 for one in made})
