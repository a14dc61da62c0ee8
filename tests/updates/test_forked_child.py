import os

import pytest

from holdfast.updates.forked_child import begun_anew_in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class _Counter:
    begun = 0

    def begin(self) -> None:
        """Count."""
        self.begun += 1


def test_what_is_alive_begins_anew_in_the_child_alone() -> None:
    """Each member once, none that is gone, and nothing here."""
    alive = begun_anew_in_child(_Counter.begin)
    kept, gone = _Counter(), _Counter()
    alive.update((kept, gone))
    del gone

    child = os.fork()
    if child == 0:
        os._exit(10 * len(alive) + kept.begun)
    _, status = os.waitpid(child, 0)

    assert 11 == os.waitstatus_to_exitcode(status)
    assert 0 == kept.begun
