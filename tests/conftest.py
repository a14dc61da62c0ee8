"""What all tests share: the fixture of `holdfast.testing`, how much property tests search, marks.

Property tests take the same examples each time, more of them on request.
"""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["holdfast.testing"]

settings.register_profile(
    "ci",
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    # A loaded machine is slow, which says nothing about the code.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", settings.get_profile("ci"), max_examples=2000)
# `--hypothesis-profile=full` (make test-full) is read later and wins.
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `-k T05` select the tests that stand for this row of docs/threats.md."""
    for item in items:
        for threat in item.iter_markers("threat"):
            item.extra_keyword_matches.update(threat.args)
