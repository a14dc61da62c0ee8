"""The decision on one handshake: the policy of the moment, the path, and what was seen before.

1. The policy is read once for each decision: old or new, never a mix.
2. A source that fails, a path that cannot be parsed or is missing, and a resumed session whose path
   is unknown are refused. Only a host that no pattern covers may pass without a parsed path, and
   only when no key is denied.
3. A path that matched is remembered by host, policy object and exact bytes, so that the next
   handshake with the same server needs no hashing. Policies are immutable, so identity says
   "unchanged". A pins-only leaf is looked at each time: nobody else looks at its dates.
4. A session carries no path (and OpenSSL resumes it for any host): it is judged by the path that
   was approved for the same host and leaf, under the policy of now, and by the exceptions that
   vouched for that path, if they still count. Where only another path matched (`second_look`), that
   one is looked at as well.
5. No decision waits: no lock, no disk, no network. Reports come after it, and wait for the sink.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime

from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.second_look import Look
from holdfast.errors import CertificateError, HoldfastError
from holdfast.pins.chain import PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import evaluate, undecidable, untrusted, without_path
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.local_exception import LocalException, by_exception, ended_in, vouching
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.redirects import Hop, against_sending
from holdfast.pins.verdict import Observed, Outcome, Verdict, Violation

# One entry a host and leaf. At the limit the older half is forgotten at once, which needs no lock;
# a session that is as old as that is refused, and made anew by the next full handshake.
_MEMORY_LIMIT = 4096

# Loaded by the first connection that needs them, here, in `errors` and by each other.
_LOADED_LATE = (
    "cryptography.x509",
    "holdfast.certificates.lone_leaf",
    "holdfast.certificates.trust_anchors",
    "holdfast.findings.explain",
    "holdfast.findings.observed",
)

_Session = tuple[str, Trust | None, bytes]  # host, trust, leaf
_Vouched = tuple[tuple[bytes, ...], tuple[LocalException, ...]]  # path, what may vouch for it

_log = logging.getLogger("holdfast.enforcement")


def utc_now() -> datetime:
    """Return the time, with its offset."""
    return datetime.now(UTC)


class HandshakeJudge:
    """Decides handshakes under a policy source and reports violations to a sink; thread-safe."""

    def __init__(
        self,
        source: PolicySource,
        sink: ViolationSink,
        *,
        named_anchors: tuple[bytes, ...] = (),
        exceptions: tuple[LocalException, ...] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Bind a source, a sink, the anchors (DER) that were named if any, and exceptions."""
        self._source = source
        self._sink = sink
        self._named_anchors = named_anchors
        self._exceptions = exceptions
        self._clock = clock
        self._approved: dict[str, tuple[Policy, Trust | None, tuple[bytes, ...], Verdict]] = {}
        self._paths: dict[_Session, _Vouched] = {}
        self._earlier_paths: dict[_Session, _Vouched] = {}

    def rules_for(self, host: str) -> tuple[PinSet | None, bool]:
        """Return the pin set that covers a canonical host now, and whether a miss is refused.

        Raises:
            PinViolationError: The source failed, so nothing is known about the host.
        """
        try:
            policy = self._source.current()
            pin_set = policy.pin_set_for(host)
        except Exception as error:
            violation = self.violation(_source_failed(host, error), (), None)
            self.report(violation)
            raise PinViolationError(violation) from error
        if pin_set is None:
            return None, policy.unlisted is Unlisted.REFUSE
        return pin_set, pin_set.mode is Mode.ENFORCE

    def refuses_unlisted(self) -> bool:
        """Tell whether only hosts with pins may be reached now."""
        try:
            return self._source.current().unlisted is Unlisted.REFUSE
        except Exception:  # noqa: BLE001  whatever a source raises, nothing is allowed then
            return True

    def lets_everything_pass(self, host: str) -> bool:
        """Tell whether a host may be reached over any path: unlisted, allowed, no key denied."""
        try:
            policy = self._source.current()
            return (
                policy.unlisted is Unlisted.ALLOW
                and not policy.denied
                and policy.pin_set_for(host) is None
            )
        except Exception:  # noqa: BLE001  whatever a source raises, nothing is known then
            return False

    def decide_request(self, target: Hop, came_from: Hop | None) -> Verdict | None:
        """Return what speaks against a request that is not sent yet; None if nothing does."""
        try:
            policy = self._source.current()
        except Exception as error:  # noqa: BLE001  whatever a source raises, the answer is a refusal
            return _source_failed(target.host, error)
        return against_sending(policy, target, came_from)

    def exceptions_for(self, host: str, pin_set: PinSet | None) -> tuple[LocalException, ...]:
        """Return the local exceptions whose anchors vouch for paths to a canonical host now."""
        return self._exceptions and vouching(self._exceptions, host, pin_set, self._clock())

    def decide(
        self,
        host: str,
        path: tuple[bytes, ...],
        trust: Trust | None = Trust.PUBLIC,
        exceptions: tuple[LocalException, ...] = (),
        look: Look | None = None,
    ) -> Verdict:
        """Decide on a path that was verified in this handshake under the trust of its connection.

        Under pins-only trust the path is the leaf, whose key was proven and nothing else. Without
        any (None) nobody checked the name, and the path counts for no host that is listed.
        `exceptions` are those whose anchors vouched for the path too. On a mismatch, and only then,
        `look` looks for another valid path, without them.
        """
        try:
            policy = self._source.current()
        except Exception as error:  # noqa: BLE001  whatever a source raises, the answer is a refusal
            return _source_failed(host, error)
        if exceptions and (exception := ended_in(exceptions, path)) is not None:
            verdict = self._decide(policy, host, path, trust)
            return by_exception(policy, verdict, exception, self._clock())
        approved = self._approved.get(host)
        if (
            approved is not None
            and approved[0] is policy
            and approved[1] is trust
            and approved[2] == path
        ):
            return approved[3]
        verdict = self._decide(policy, host, path, trust)
        if verdict.outcome is Outcome.MATCH and trust is not Trust.PINS_ONLY:
            if len(self._approved) >= _MEMORY_LIMIT:
                self._approved.clear()
            self._approved[host] = policy, trust, path, verdict
        if verdict.outcome is Outcome.MISMATCH and trust is not Trust.PINS_ONLY and look:
            return look(policy, verdict, self._clock())
        return verdict

    def remember(
        self,
        host: str,
        path: tuple[bytes, ...],
        trust: Trust | None = Trust.PUBLIC,
        exceptions: tuple[LocalException, ...] = (),
    ) -> None:
        """Keep the path of an accepted connection, for the sessions that it may hand out."""
        if not path:
            return
        if len(self._paths) >= _MEMORY_LIMIT:
            self._earlier_paths, self._paths = self._paths, {}
        self._paths[host, trust, path[0]] = path, exceptions

    def decide_resumed(
        self,
        host: str,
        leaf: bytes | None,
        trust: Trust | None = Trust.PUBLIC,
        look: Look | None = None,
    ) -> Verdict:
        """Decide on a resumed session, by the path accepted before for this host and leaf."""
        key = host, trust, leaf or b""
        known = self._paths.get(key) or self._earlier_paths.get(key)
        if known is not None:
            path, exceptions = known
            return self.decide(host, path, trust, exceptions, look)
        try:
            return undecidable(
                self._source.current(), host, "a session was resumed whose path is not known"
            )
        except Exception as error:  # noqa: BLE001  as above
            return _source_failed(host, error)

    def untrusted(self, host: str, reason: str) -> Verdict | None:
        """Return the verdict on a chain that did not verify; None for an unlisted host."""
        try:
            policy = self._source.current()
            return None if policy.pin_set_for(host) is None else untrusted(policy, host, reason)
        except Exception as error:  # noqa: BLE001  as above
            return _source_failed(host, error)

    def violation(
        self,
        verdict: Verdict,
        presented: tuple[bytes, ...],
        port: int | None,
        verify_code: int | None = None,
    ) -> Violation:
        """Put together what is known of a refused or reported connection."""
        shown = _readable(presented)
        try:
            observed = self._observed(verdict, shown, verify_code)
        except Exception:  # noqa: BLE001  the verdict is made; failing to explain cannot undo it
            _log.exception("nothing could be observed about %s", verdict.host)
            observed = Observed.UNKNOWN
        return Violation(
            verdict=verdict, observed=observed, time=self._clock(), port=port, presented=shown
        )

    def report(self, violation: Violation) -> None:
        """Hand a violation to the sink. A sink that fails changes nothing about the connection."""
        try:
            self._sink.report(violation)
        except Exception:  # noqa: BLE001  the verdict is made; a sink cannot undo it
            _log.exception(
                "the violation sink failed; the verdict on %s stands", violation.verdict.host
            )
        try:
            # A source that follows updates may want to look for one.
            note = getattr(self._source, "note_violation", None)
            if note is not None:
                note(violation)
        except Exception:  # noqa: BLE001  nor can the source
            _log.exception(
                "the policy source failed to note that %s was reported", violation.verdict.host
            )

    def _observed(
        self, verdict: Verdict, shown: PresentedChain, verify_code: int | None
    ) -> Observed:
        # A good connection needs neither.
        from holdfast.certificates.trust_anchors import is_expected_anchor
        from holdfast.findings.observed import observe

        pin_set = verdict.pin_set
        if pin_set is not None and pin_set.trust is Trust.PINS_ONLY:
            from holdfast.certificates.lone_leaf import leaf_failure

            presented = tuple(certificate.der for certificate in shown.certificates)
            failure = leaf_failure(pin_set, verdict.host, presented, self._clock())
            if failure is not None and verdict.outcome is failure.outcome:
                return failure.observed
        anchor_is_public = None
        if isinstance(verdict.chain, VerifiedChain):
            anchor = verdict.chain.certificates[-1]
            anchor_is_public = is_expected_anchor(anchor, self._named_anchors)
        return observe(
            verdict, presented=shown, anchor_is_public=anchor_is_public, verify_code=verify_code
        )

    def _decide(
        self, policy: Policy, host: str, path: tuple[bytes, ...], trust: Trust | None
    ) -> Verdict:
        try:
            pin_set = policy.pin_set_for(host)
        except HoldfastError as error:  # the pins of a host among a million, in a file
            return _source_failed(host, error)
        if trust is None and pin_set is not None:
            return undecidable(policy, host, "the connection was made without a check of the name")
        if trust is not None and trust is not (pin_set.trust if pin_set else Trust.PUBLIC):
            return undecidable(policy, host, "the trust of the host changed meanwhile")
        if not path:
            return without_path(policy, host, "OpenSSL has no verified path for this connection")
        if pin_set is not None and trust is Trust.PINS_ONLY:
            return self._decide_by_leaf(policy, pin_set, host, path)
        try:
            chain = VerifiedChain(tuple(map(chain_certificate, path)))
        except CertificateError as error:
            return without_path(policy, host, f"a certificate on the path cannot be read: {error}")
        return evaluate(policy, host, chain, self._clock())

    def _decide_by_leaf(
        self, policy: Policy, pin_set: PinSet, host: str, path: tuple[bytes, ...]
    ) -> Verdict:
        from holdfast.certificates.lone_leaf import leaf_failure  # loads cryptography

        now = self._clock()
        failure = leaf_failure(pin_set, host, path, now)
        if failure is None:
            return evaluate(policy, host, ProvenLeaf(chain_certificate(path[0])), now)
        refuse = undecidable if failure.outcome is Outcome.UNDECIDABLE else untrusted
        return refuse(policy, host, failure.reason)


def _source_failed(host: str, error: Exception) -> Verdict:
    return Verdict(
        outcome=Outcome.UNDECIDABLE,
        allowed=False,
        violation=True,
        host=host,
        reason=f"the policy source failed: {type(error).__name__}: {error}",
    )


def _readable(presented: tuple[bytes, ...]) -> PresentedChain:
    """Return those presented certificates that can be read; it is only for people."""
    certificates = []
    for der in presented:
        try:
            certificates.append(chain_certificate(der))
        except CertificateError:
            continue
    return PresentedChain(tuple(certificates))


def _load_all() -> None:
    """Load everything before a fork: what another thread is loading a child waits for for ever."""
    for name in _LOADED_LATE:
        importlib.import_module(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_load_all)
