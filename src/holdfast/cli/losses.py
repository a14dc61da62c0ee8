"""Losses on stderr: what a text in another format does not say, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.cli.output import say
from holdfast.formats.loss import Effect, Loss

_WORDS = {
    Effect.LETS_THROUGH: "lets through",
    Effect.REFUSES: "refuses",
    Effect.NEITHER: "note",
}
_NAMED = 3  # places that a line names


def tell_losses(losses: Iterable[Loss]) -> None:
    """Print losses, those first that let through what is refused at the source.

    What has the same consequence in several places is one line. `--format json` has each place.
    """
    places: dict[tuple[Effect, str], list[str]] = {}
    for loss in losses:
        places.setdefault((loss.effect, loss.consequence), []).append(loss.place)
    order = list(_WORDS)
    for (effect, consequence), where in sorted(
        places.items(), key=lambda entry: order.index(entry[0][0])
    ):
        say(f"holdfast: lost: {_WORDS[effect]}: {_listed(where)}: {consequence}")


def _listed(places: Sequence[str]) -> str:
    more = len(places) - _NAMED
    named = ", ".join(places[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named
