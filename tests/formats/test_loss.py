import pytest

from holdfast.errors import LossError
from holdfast.formats.loss import (
    Effect,
    Loss,
    LossKind,
    loss_as_json,
    refuse_losses,
    which_matter,
)


def test_which_losses_matter() -> None:
    """Those that change who is connected to."""
    losses = [
        Loss(kind=LossKind.DENIED, effect=effect, place="holdfast.denied", consequence="...")
        for effect in Effect
    ]

    assert tuple(losses[:2]) == which_matter(losses)
    assert {
        "kind": "denied-keys",
        "effect": "lets-through",
        "place": "holdfast.denied",
        "consequence": "...",
        "subject": None,
    } == loss_as_json(losses[0])


def test_losses_that_matter_can_be_refused() -> None:
    """Only those by which a connection is decided otherwise, all of them in one error."""
    losses = [
        Loss(kind=LossKind.REPORTS, effect=effect, place=f"place {effect}", consequence="gone")
        for effect in Effect
    ]

    refuse_losses(losses[2:])
    with pytest.raises(LossError) as caught:
        refuse_losses(losses)

    assert "place lets-through: gone; place refuses: gone" == caught.value.message
