from holdfast.formats.loss import Effect, Loss, LossKind, loss_as_json, which_matter


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
