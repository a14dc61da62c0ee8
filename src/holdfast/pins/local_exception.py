"""A local exception: one more anchor for some hosts, for a while, as for a proxy that inspects TLS.

1. It never counts for a strict, private or pins-only set, nor for a host that no pattern covers.
2. It ends by itself. One that seems to end further ahead than it may is not in force: the clock was
   set back.
3. It lets pass what does not satisfy the set, and each time that is a violation to be reported. A
   denied key stays denied.
4. A path for which nothing but an exception vouches, and no longer, is untrusted, whatever its pins
   and the mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from holdfast.errors import PolicyError, Problem
from holdfast.pins.evaluate import untrusted
from holdfast.pins.host_pattern import HostPattern, Reach, representatives
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Outcome, Verdict

EXCEPTION_LIMIT = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalException:
    """One more anchor for the hosts of some patterns. The fields are the keys of `[[exception]]`.

    Attributes:
        hosts: At least one pattern.
        anchor: The certificate (DER) in which a path may end, and no other with its key or name.
        until: From when on it counts no more, with an offset.
        reason: One line for whoever reads of its use.

    Raises:
        PolicyError: A rule is broken.
        TypeError: A field has another type than declared.
    """

    hosts: tuple[HostPattern, ...]
    anchor: bytes
    until: datetime
    reason: str

    def __post_init__(self) -> None:
        """Check every rule but the limit of `until`, which depends on the time of the decision."""
        if not _has_declared_types(self):
            raise TypeError("a local exception takes host patterns, DER, a time and a reason")
        if problems := list(_problems(self)):
            raise PolicyError(problems, source="local exception")

    def covers(self, host: str) -> bool:
        """Tell whether it names a canonical host."""
        return any(pattern.covers(host) for pattern in self.hosts)

    def is_in_force(self, now: datetime) -> bool:
        """Tell whether it counts at a time."""
        return now < self.until and self.until - now <= EXCEPTION_LIMIT

    @property
    def names(self) -> str:
        """The hosts on one line."""
        return ", ".join(map(str, self.hosts))


def vouching(
    exceptions: tuple[LocalException, ...], host: str, pin_set: PinSet | None, now: datetime
) -> tuple[LocalException, ...]:
    """Return the exceptions whose anchors vouch for paths to a canonical host at a time."""
    if hindrance(pin_set) is not None:
        return ()
    return tuple([one for one in exceptions if one.covers(host) and one.is_in_force(now)])


def hindrance(pin_set: PinSet | None) -> str | None:
    """Say why no exception counts for the hosts of a set (None: for unlisted hosts), if so."""
    if pin_set is None:
        return "no pattern of the policy covers it"
    if pin_set.strict:
        return f"pin set {pin_set.name} is strict"
    if pin_set.trust is not Trust.PUBLIC:
        return f"pin set {pin_set.name} has {pin_set.trust.value} trust"
    return None


def ended_in(
    exceptions: tuple[LocalException, ...], path: tuple[bytes, ...]
) -> LocalException | None:
    """Return the exception in whose anchor a verified path (DER, leaf first) ends.

    Of several with one anchor it is the one that ends last.
    """
    found = [one for one in exceptions if path and path[-1] == one.anchor]
    return max(found, key=lambda one: one.until, default=None)


def by_exception(
    policy: Policy, verdict: Verdict, exception: LocalException, now: datetime
) -> Verdict:
    """Decide on a path that ends in the anchor of an exception, which vouched for it.

    Args:
        policy: The policy in force.
        verdict: What it says of the path.
        exception: The one in whose anchor the path ends.
        now: The time of the decision, with an offset.
    """
    if verdict.outcome in (Outcome.DENIED, Outcome.UNDECIDABLE, Outcome.UNTRUSTED):
        return verdict
    why_not = hindrance(verdict.pin_set)
    if why_not is None and not exception.is_in_force(now):
        why_not = f"it is in force until {exception.until.isoformat()} and not at this time"
    if why_not is not None:
        reason = f"nothing vouches for the path but a local exception, and {why_not}"
        return untrusted(policy, verdict.host, reason)
    return replace(
        verdict,
        allowed=True,
        violation=True,
        reason=(
            f"{verdict.reason}; a local exception for {exception.names} lets it pass until "
            f"{exception.until.isoformat()}: {exception.reason}"
        ),
    )


@dataclass(frozen=True, slots=True)
class ExceptionReach:
    """Where an exception counts under a policy while it is in force, and where it does not.

    Attributes:
        pin_sets: The names of the sets for whose hosts, or some of them, it counts.
        hindrances: Sentences on hosts that it names in vain.
    """

    pin_sets: tuple[str, ...]
    hindrances: tuple[str, ...]


def reach_of(exception: LocalException, policy: Policy) -> ExceptionReach:
    """Say where an exception counts under a policy."""
    counts: dict[str, None] = {}
    hindrances: dict[str, None] = {}
    for pattern in exception.hosts:
        reached = {name: policy.pin_set_for(name) for name in _names_under(pattern, policy)}
        is_unlisted = not any(reached.values())
        for pin_set in reached.values():
            why_not = hindrance(pin_set)
            if pin_set is not None and why_not is None:
                counts[pin_set.name] = None
            elif why_not is not None and (pin_set is not None or is_unlisted):
                hindrances[f"it has no effect on {pattern}: {why_not}"] = None
    return ExceptionReach(tuple(counts), tuple(hindrances))


def _names_under(pattern: HostPattern, policy: Policy) -> Iterator[str]:
    """Yield names of which each set that takes hosts from a pattern covers at least one."""
    yield from representatives(pattern)
    if pattern.reach is Reach.EXACT:
        return
    for pin_set in policy.pin_sets:
        for other in pin_set.hosts:
            yield from (name for name in representatives(other) if pattern.covers(name))


def _has_declared_types(exception: Any) -> bool:  # noqa: ANN401  that is the question
    return (
        type(exception.hosts) is tuple
        and all(type(pattern) is HostPattern for pattern in exception.hosts)
        and type(exception.anchor) is bytes
        and isinstance(exception.until, datetime)
        and isinstance(exception.reason, str)
    )


def _problems(exception: LocalException) -> Iterator[Problem]:
    if not exception.hosts:
        yield Problem("hosts", "it names no host", "list at least one host pattern")
    for index, pattern in enumerate(exception.hosts):
        if pattern in exception.hosts[:index]:
            yield Problem(f"hosts[{index}]", f"{pattern} stands there already", "remove it here")
    if not exception.anchor:
        yield Problem("anchor", "there is no certificate", "give the CA's certificate in DER")
    if exception.until.utcoffset() is None:
        yield Problem("until", "the time has no offset", "write it with Z or +hh:mm")
    if not exception.reason.strip() or not exception.reason.isprintable():
        fix = "say on one line why it is there, and who knows of it"
        yield Problem("reason", "it gives no reason", fix)
