"""Losses on stderr: what a text in another format does not say, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.cli.output import say
from holdfast.formats.loss import Effect, Loss

_WORDS = {
    Effect.LETS_THROUGH: "lets through",
    Effect.REFUSES: "refuses",
    Effect.NEITHER: "note",
}


def tell_losses(losses: Iterable[Loss]) -> None:
    """Print losses, those first that let through what is refused at the source."""
    order = list(_WORDS)
    for loss in sorted(losses, key=lambda loss: order.index(loss.effect)):
        say(f"holdfast: lost: {_WORDS[loss.effect]}: {loss.place}: {loss.consequence}")
