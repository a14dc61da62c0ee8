from tests.updates.followed_repository import HOUR, Opened
from tests.updates.seeded import NEW, policy


def test_before_the_first_there_is_no_bundle(opened: Opened) -> None:
    """And afterwards it is what was published."""
    assert opened().bundle() is None
    opened().publish(policy(NEW), refresh=HOUR, rules=True)
    bundle = opened().bundle()

    assert bundle is not None
    assert policy(NEW) == bundle.policy
    assert 1 == opened().epoch
