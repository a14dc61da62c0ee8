import pytest

from holdfast.cli.losses import tell_losses
from holdfast.formats.loss import Effect, Loss, LossKind


def _loss(place: str, effect: Effect = Effect.NEITHER, consequence: str = "it is so") -> Loss:
    return Loss(
        kind=LossKind.CA_PINS, effect=effect, place=place, consequence=consequence, subject=place
    )


def test_what_lets_through_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Then what refuses, then what only has to be known."""
    tell_losses([_loss("a"), _loss("b", Effect.REFUSES), _loss("c", Effect.LETS_THROUGH)])

    assert [
        "holdfast: lost: lets through: c: it is so",
        "holdfast: lost: refuses: b: it is so",
        "holdfast: lost: note: a: it is so",
    ] == capsys.readouterr().err.splitlines()


def test_the_same_in_many_places_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A line names the first places and counts the others."""
    tell_losses(
        [_loss(f"pin_set.s{number}") for number in range(10_000)] + [_loss("x", consequence="y")]
    )

    assert [
        "holdfast: lost: note: pin_set.s0, pin_set.s1, pin_set.s2 and 9997 more: it is so",
        "holdfast: lost: note: x: y",
    ] == capsys.readouterr().err.splitlines()


def test_three_places_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is counted that could as well be named."""
    tell_losses([_loss("a"), _loss("b"), _loss("c")])

    assert "holdfast: lost: note: a, b, c: it is so\n" == capsys.readouterr().err
