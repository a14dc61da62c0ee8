"""One pin set on its way to a platform, and what it loses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Semantics
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin_set import PinSet, place_of
from holdfast.pins.policy import Policy

__all__ = ["Owners", "SetTranslation"]

Owners = Mapping[str, list[tuple[HostPattern, PinSet]]]


@dataclass(frozen=True, slots=True)
class SetTranslation:
    """What the translation of one set goes by.

    Attributes:
        policy: The policy that has it.
        pin_set: The set.
        semantics: How the platform understands its rules.
        owners: All sets of the policy by the hosts of their patterns.
        losses: What gets lost, of all sets; it is added to.
    """

    policy: Policy
    pin_set: PinSet
    semantics: Semantics
    owners: Owners
    losses: list[Loss]

    @property
    def title(self) -> str:
        """What the platform is called."""
        return self.semantics.title

    def lose(self, kind: LossKind, effect: Effect, key: str, consequence: str) -> None:
        """Say that something gets lost.

        Args:
            kind: What.
            effect: What it does to connections.
            key: The key of the set that says it; "" for the set as a whole.
            consequence: What follows, as a sentence.
        """
        place = place_of(self.pin_set.name)
        self.losses.append(
            Loss(
                kind=kind,
                effect=effect,
                place=f"{place}.{key}" if key else place,
                consequence=consequence,
                subject=self.pin_set.name,
            )
        )
