"""What another platform cannot say of a policy, or a policy of a platform's file. Pure.

1. Nothing is widened or narrowed silently: what the text does not hold stands in a list beside it.
2. A loss says what follows from it in one sentence, and for which pin set.
3. Two losses stand apart from the rest, since they change who is connected to: one lets a
   connection through that is refused at the source, the other refuses one that is allowed there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from holdfast.errors import LossError

__all__ = ["Effect", "Loss", "LossKind", "loss_as_json", "refuse_losses", "which_matter"]


class Effect(StrEnum):
    """What a loss does to connections."""

    LETS_THROUGH = "lets-through"
    REFUSES = "refuses"
    NEITHER = "neither"


class LossKind(StrEnum):
    """What is lost, to filter by."""

    ANCHORS = "anchors"
    BREAK_GLASS = "break-glass"
    CA_PINS = "ca-pins"
    CERTIFICATE_PINS = "certificate-pins"
    CHAIN = "chain-verification"
    CLIENTS = "clients"
    DENIED = "denied-keys"
    DROPPED_HOST = "dropped-host"
    DUPLICATE = "duplicate"
    EXPIRY = "expiry"
    HOSTS = "hosts"
    IP_ADDRESSES = "ip-addresses"
    KEY_PINS = "key-pins"
    LEAF_AND_CA = "leaf-and-ca"
    NUMBER_OF_PINS = "number-of-pins"
    OVERLAP = "several-rules"
    POSITION = "position"
    RENEGOTIATION = "renegotiation"
    REPORTS = "reports"
    REPORT_ONLY = "report-only"
    SETTING = "setting"
    SUBDOMAINS = "depth-of-subdomains"
    UNREACHED_HOST = "host-without-effect"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that gets lost.

    Attributes:
        kind: What it is.
        effect: What it does to connections.
        place: Where it stands at the source, as a key of the policy or a place in the file.
        consequence: What follows, in one sentence.
        subject: The pin set or entry that it is about; None where it is about all of them.
        stated: What the file has there, where lint looks at it: a host, an address, a time.
    """

    kind: LossKind
    effect: Effect
    place: str
    consequence: str
    subject: str | None = None
    stated: str | None = None


def which_matter(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Return the losses by which a connection is decided otherwise than at the source."""
    return tuple(loss for loss in losses if loss.effect is not Effect.NEITHER)


def refuse_losses(losses: Iterable[Loss]) -> None:
    """Refuse to go on where a connection would be decided otherwise than at the source.

    Raises:
        LossError: It would; the text says each loss that matters.
    """
    matter = which_matter(losses)
    if matter:
        raise LossError(
            "; ".join(f"{loss.place}: {loss.consequence}" for loss in matter),
            hint="without strict these losses are returned, and what is left is in force",
        )


def loss_as_json(loss: Loss) -> dict[str, str | None]:
    """Return a loss as the object that commands print."""
    return {
        "kind": loss.kind.value,
        "effect": loss.effect.value,
        "place": loss.place,
        "consequence": loss.consequence,
        "subject": loss.subject,
    }
