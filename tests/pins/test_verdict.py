from __future__ import annotations

import pytest

from holdfast.pins.verdict import Outcome, Verdict


@pytest.mark.parametrize("allowed", [True, False])
def test_a_verdict_is_no_condition(allowed: bool) -> None:
    """`if evaluate(...)` is a TypeError, since it would read 'not pinned' as 'pinned and fine'."""
    verdict = Verdict(
        outcome=Outcome.MATCH, allowed=allowed, violation=False, host="example.com", reason=""
    )

    with pytest.raises(TypeError, match=r"\.allowed"):
        bool(verdict)
