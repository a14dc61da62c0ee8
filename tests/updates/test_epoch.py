import pytest

from holdfast.errors import UpdateError
from holdfast.updates.epoch import EPOCH_FIELD
from tests.updates.conftest import Refresh
from tests.updates.signed_repository import SignedRepository


def test_epochs(repository: SignedRepository, update: Refresh) -> None:
    """The epoch is what the top-level targets say."""
    repository.targets.unrecognized_fields[EPOCH_FIELD] = 7
    repository.publish(roles=["targets"])

    assert 7 == update().epoch


@pytest.mark.parametrize("epoch", [0, -1, True, "2", None, [1]])
def test_bad_epochs(repository: SignedRepository, update: Refresh, epoch: object) -> None:
    """An epoch that is no number from 1 is refused."""
    repository.targets.unrecognized_fields[EPOCH_FIELD] = epoch
    repository.publish(roles=["targets"])

    with pytest.raises(UpdateError):
        update()
