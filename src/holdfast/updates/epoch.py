"""The epoch in which the bundles of a repository are counted. The top-level targets name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UpdateError
from holdfast.findings.escape import escaped

if TYPE_CHECKING:
    from tuf.api.metadata import Targets

__all__ = ["EPOCH_FIELD", "epoch_of"]

EPOCH_FIELD = "x-holdfast-epoch"  # 1 where it is missing
_TEXT_LIMIT = 300  # characters of what somebody else has put there


def epoch_of(targets: Targets) -> int:
    """Return the epoch that the top-level targets name.

    Raises:
        UpdateError: It is no number from 1.
    """
    epoch = targets.unrecognized_fields.get(EPOCH_FIELD, 1)
    if type(epoch) is not int or epoch < 1:
        raise UpdateError(f"the epoch is {escaped(str(epoch), _TEXT_LIMIT)}, not a number from 1")
    return epoch
