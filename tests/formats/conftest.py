"""A pin set that lint has nothing to say about, for tests to spoil."""

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet


@pytest.fixture
def make_set() -> Callable[..., PinSet]:
    """Return a function that makes a sound, enforced pin set with the given fields changed."""

    def make(*hosts: str, **changes: Any) -> PinSet:  # noqa: ANN401 # the fields of PinSet
        fields: dict[str, Any] = {
            "name": "bank",
            "mode": Mode.ENFORCE,
            "leaf": (Pin.of_spki(b"key in use"),),
            "backup": (Pin.of_spki(b"key in reserve"),),
            "owner": "bank team <bank@example.com>",
        }
        patterns = map(HostPattern.parse, hosts or ("api.example.com",))
        return PinSet(hosts=tuple(patterns), **(fields | changes))

    return make
