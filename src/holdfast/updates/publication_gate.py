"""What is looked at before a policy is published. Pure: what was seen of endpoints is an argument.

1. Everything is told at once. An error stands against publishing; what somebody has given leave for
   is told all the same, as a warning.
2. Unknown is not unused: where nothing was seen of a set, each leaf and CA pin that goes counts as
   in use. A backup is in reserve by its name, unless it was seen.
3. A live chain is held against the policy that is to be published, as a client would hold it.

A pin that is not in the chain: RFC 7469 sections 2.5 and 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from holdfast.findings.finding import Finding, Severity
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import representatives
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, PinSet, Require, Trust, place_of, probed_endpoints
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Verdict
from holdfast.updates.rule_comparison import Kind, rule_changes, some

__all__ = [
    "LIMITS",
    "TITLES",
    "UNSEEN",
    "Leave",
    "Limits",
    "Seen",
    "endpoints_to_visit",
    "gate_findings",
    "more_than_pins",
    "nothing_seen",
]

LOCKS_OUT = "HF601"
UNSEEN = "HF602"
NO_RESERVE = "HF603"
ONE_PATH = "HF604"
IN_USE = "HF605"
TOO_MUCH = "HF606"
MORE_THAN_PINS = "HF607"
NOTHING_SEEN = "HF608"

TITLES = {
    LOCKS_OUT: "Clients would refuse what the server shows now",
    UNSEEN: "An endpoint of an enforced set could not be looked at",
    NO_RESERVE: "Every pin of a set is in the chains that its servers show",
    ONE_PATH: "The CA pins of a set lie on one path",
    IN_USE: "A pin that is in use is removed",
    TOO_MUCH: "Many pin sets change at once",
    MORE_THAN_PINS: "More than pins changes",
    NOTHING_SEEN: "No endpoint was looked at",
}
_RESERVE_SOURCE = "RFC 7469 section 2.5"


class Limits(NamedTuple):
    """How much of the published policy may change at once: the larger of the two.

    Attributes:
        pin_sets: This many pin sets,
        percent: or this share of them.
    """

    pin_sets: int = 3
    percent: int = 10

    def of(self, number: int) -> int:
        """Return the most of so many sets that may change."""
        return max(self.pin_sets, number * self.percent // 100)


class Leave(NamedTuple):
    """What whoever publishes has given leave for.

    Attributes:
        emergency: To remove pins that are in use.
        large: To change more than the limits say.
    """

    emergency: bool = False
    large: bool = False


LIMITS = Limits()
NO_LEAVE = Leave()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at an endpoint came to.

    Attributes:
        endpoint: Where.
        verdict: What a client with the new policy decides; None where there was nothing to judge.
        reason: What is the case, where that is not all well.
        action: What to do about it.
    """

    endpoint: Endpoint
    verdict: Verdict | None
    reason: str = ""
    action: str = ""

    @property
    def pins(self) -> frozenset[Pin]:
        """The pins of the certificates that were seen."""
        return _pins_of(_certificates(self.verdict))

    def shows_path_for(self, trust: Trust) -> bool:
        """Tell whether all that a set of this trust can have pins of was seen."""
        chain = None if self.verdict is None else self.verdict.chain
        if isinstance(chain, ProvenLeaf):
            return trust is Trust.PINS_ONLY
        return isinstance(chain, VerifiedChain)


def endpoints_to_visit(before: Policy | None, after: Policy) -> tuple[Endpoint, ...]:
    """Return what has to be looked at: enforced sets, and those of before that lose pins."""
    visited = [one for one in after.pin_sets if one.mode is Mode.ENFORCE]
    if before is not None:
        visited += [one for one, _ in _losing_pins(before, after)]
    return tuple(dict.fromkeys(place for one in visited for place in probed_endpoints(one)))


def gate_findings(
    before: Policy | None,
    after: Policy,
    seen: tuple[Seen, ...],
    *,
    denied: frozenset[Pin] = frozenset(),
    limits: Limits = LIMITS,
    leave: Leave = NO_LEAVE,
) -> tuple[Finding, ...]:
    """Say everything that stands against publishing a policy.

    Args:
        before: What is published; None before the first.
        after: What is to be.
        seen: What was seen of the endpoints, which may be nothing.
        denied: Keys that are denied already: nobody loses a way in with them.
        limits: How much may change at once.
        leave: What is meant, although it is grave.

    Returns:
        The findings; with an error among them, nothing may be published.
    """
    return (
        *_live_findings(after, seen),
        *_reserve_findings(after, seen),
        *(() if before is None else _removals(before, after, seen, denied, leave)),
        *(() if before is None else _size_findings(before, after, limits, leave)),
    )


def more_than_pins(words: str) -> Finding:
    """Say that the offline keys have to sign.

    Args:
        words: What changes beside pins.
    """
    return Finding(
        rule=MORE_THAN_PINS,
        severity=Severity.ERROR,
        place="",
        reason=f"more than pins changes, which the offline keys have to sign: {words}",
        action="publish it with --rules, where the keys of `targets` are",
    )


def nothing_seen() -> Finding:
    """Say that nobody looked."""
    return Finding(
        rule=NOTHING_SEEN,
        severity=Severity.WARNING,
        place="",
        reason="no endpoint was looked at: whether this locks clients out is not known",
        action="run `holdfast check` from where the servers can be reached",
    )


def _live_findings(after: Policy, seen: tuple[Seen, ...]) -> Iterator[Finding]:
    for one in seen:
        pin_set = after.pin_set_for(one.endpoint.host)
        is_enforced = pin_set is not None and pin_set.mode is Mode.ENFORCE
        if one.verdict is None:
            if is_enforced:
                yield Finding(
                    rule=UNSEEN,
                    severity=Severity.ERROR,
                    place=str(one.endpoint),
                    reason=f"whether clients would be locked out is not known: {one.reason}",
                    action="publish from where it can be reached, or with --skip-live if you know",
                    subject=_name(pin_set),
                )
        elif not one.verdict.allowed:
            yield _locked_out(one, Severity.ERROR, "clients would be locked out")
        elif one.verdict.violation and is_enforced:
            yield _locked_out(one, Severity.WARNING, "clients are let in for now only")


def _locked_out(one: Seen, severity: Severity, what: str) -> Finding:
    return Finding(
        rule=LOCKS_OUT,
        severity=severity,
        place=str(one.endpoint),
        reason=f"{what}: {one.reason}",
        action=one.action,
        subject=one.endpoint.host,
    )


def _reserve_findings(after: Policy, seen: tuple[Seen, ...]) -> Iterator[Finding]:
    paths: dict[str, list[Seen]] = {}
    for one in seen:
        pin_set = after.pin_set_for(one.endpoint.host)
        if pin_set is not None:
            paths.setdefault(pin_set.name, []).append(one)
    for pin_set in after.pin_sets:
        looks = paths.get(pin_set.name, [])
        if not looks or not _needs_reserve(pin_set):
            continue
        live = frozenset[Pin]().union(*(one.pins for one in looks))
        is_both = pin_set.require is Require.LEAF_AND_CA
        if (pin_set.leaf or pin_set.backup) and live.issuperset(
            pin_set.leaf + pin_set.backup if is_both else pin_set.pins
        ):
            yield Finding(
                rule=NO_RESERVE,
                severity=Severity.ERROR,
                place=place_of(pin_set.name),
                reason="every pin is in a chain that is shown now: none is left for the next key",
                action="pin a backup key that no server uses: `holdfast key new`",
                source=_RESERVE_SOURCE,
                subject=pin_set.name,
            )
        if (is_both or not (pin_set.leaf or pin_set.backup)) and any(
            one.pins.issuperset(pin_set.ca) for one in looks
        ):
            yield Finding(
                rule=ONE_PATH,
                severity=Severity.WARNING,
                place=f"{place_of(pin_set.name)}.ca",
                reason="all CA pins lie on one path: they are one CA, and no reserve",
                action="pin a CA that does not depend on this one",
                source=_RESERVE_SOURCE,
                subject=pin_set.name,
            )


def _needs_reserve(pin_set: PinSet) -> bool:
    """Tell whether the rule of two pins holds for a set: elsewhere an anchor is the second."""
    is_enforced = pin_set.mode is Mode.ENFORCE and pin_set.trust is not Trust.PRIVATE
    return is_enforced and pin_set.single_pin is None


def _removals(
    before: Policy,
    after: Policy,
    seen: tuple[Seen, ...],
    denied: frozenset[Pin],
    leave: Leave,
) -> Iterator[Finding]:
    for old, gone in _losing_pins(before, after):
        looks = [one for one in seen if _name(before.pin_set_for(one.endpoint.host)) == old.name]
        live = frozenset[Pin]().union(*(one.pins for one in looks))
        is_known = bool(looks) and all(one.shows_path_for(old.trust) for one in looks)
        in_use = live if is_known else live.union(old.leaf, old.ca)
        removed = [str(pin) for pin in gone if pin in in_use and pin not in denied]
        if not removed:
            continue
        why = "in use" if is_known else "in use, as far as one knows"
        yield Finding(
            rule=IN_USE,
            severity=Severity.WARNING if leave.emergency else Severity.ERROR,
            place=place_of(old.name),
            reason=f"{some(removed)} {'is' if len(removed) == 1 else 'are'} {why}, and removed",
            action="wait until no server shows it, or publish with --emergency if it has to go now"
            + ("" if is_known else "; what is listed as `endpoints` can be looked at"),
            subject=old.name,
        )


def _losing_pins(before: Policy, after: Policy) -> Iterator[tuple[PinSet, tuple[Pin, ...]]]:
    """Yield the enforced sets of before, with the pins that count for a host of theirs no more."""
    gone: dict[str, dict[Pin, None]] = {}
    pin_sets = before.pin_sets + after.pin_sets
    patterns = dict.fromkeys(pattern for one in pin_sets for pattern in one.hosts)
    met: set[tuple[str, str | None]] = set()
    for name in (name for pattern in patterns for name in representatives(pattern)):
        old, new = before.pin_set_for(name), after.pin_set_for(name)
        if old is not None and (old.name, _name(new)) not in met:
            met.add((old.name, _name(new)))
            gone.setdefault(old.name, {}).update(dict.fromkeys(_lost(old, new)))
    for old in before.pin_sets:
        if old.mode is Mode.ENFORCE and gone.get(old.name):
            yield old, tuple(gone[old.name])


def _lost(old: PinSet, new: PinSet | None) -> tuple[Pin, ...]:
    """Return the pins that do not count in their role any more."""
    if new is None:
        return old.pins
    leaf = tuple(one for one in old.leaf + old.backup if one not in new.leaf + new.backup)
    return leaf + tuple(one for one in old.ca if one not in new.ca)


def _name(pin_set: PinSet | None) -> str | None:
    return None if pin_set is None else pin_set.name


def _size_findings(
    before: Policy, after: Policy, limits: Limits, leave: Leave
) -> Iterator[Finding]:
    now = {one.name: one for one in after.pin_sets}
    changed = [one.name for one in before.pin_sets if _decides_differently(one, now.get(one.name))]
    most = limits.of(len(before.pin_sets))
    if len(changed) > most:
        yield Finding(
            rule=TOO_MUCH,
            severity=Severity.WARNING if leave.large else Severity.ERROR,
            place="pin_set",
            reason=f"{len(changed)} of {len(before.pin_sets)} pin sets change or go at once, "
            f"more than {most}: {some(changed)}",
            action="publish it in steps, or with --large if all of it is meant",
        )


def _decides_differently(old: PinSet, new: PinSet | None) -> bool:
    if new is None or {*old.hosts} != {*new.hosts} or {*old.clients} != {*new.clients}:
        return True
    return any(change.kind is not Kind.NEUTRAL for change in rule_changes(old, new))


def _certificates(verdict: Verdict | None) -> tuple[ChainCertificate, ...]:
    match None if verdict is None else verdict.chain:
        case VerifiedChain(certificates) | PresentedChain(certificates):
            return certificates
        case ProvenLeaf(certificate):
            return (certificate,)
        case _:
            return ()


def _pins_of(certificates: Iterable[ChainCertificate]) -> frozenset[Pin]:
    return frozenset(
        pin
        for one in certificates
        for pin in (
            Pin(PinAlgorithm.SPKI, one.spki_sha256),
            Pin(PinAlgorithm.CERTIFICATE, one.cert_sha256),
        )
    )
