"""A connection's second look: another valid path, where the one that OpenSSL chose has no pin.

OpenSSL builds one path and does not look twice. What it chose, and accepted, has proven the leaf:
its name, purpose, dates and key. `holdfast.certificates.other_paths` looks for another path from
that leaf.

1. Nothing is done before a miss.
2. Anchors are those that the context lists. OpenSSL reads a hashed directory (`capath`) only when
   it looks for an issuer, and lists what it has read so far: with one of those a path may not be
   found. That is safe: each path is verified by itself, to an anchor that is listed. What OpenSSL's
   "TRUSTED CERTIFICATE" form forbids to an anchor is not listed; such anchors are looked at too.
3. Where a context asks OpenSSL for what the other verifier does not do (revocation lists, a higher
   security level), there is no second look.
4. A match is remembered by host, trust and first path, with the path that was found: sessions that
   are resumed, and connections that live while the policy changes, are judged by both. It is no
   longer used than the path is valid; under another policy the path is verified again. A miss is
   not remembered: what is sent, what is trusted and the time may be better at the next handshake.
"""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.enforcement.genuine_context import CContext
from holdfast.enforcement.verified_path import presented_chain
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin_set import Trust

if TYPE_CHECKING:
    from holdfast.certificates.other_paths import OtherMatch
    from holdfast.pins.policy import Policy
    from holdfast.pins.verdict import Verdict

__all__ = ["Look", "SecondLook"]

Look = Callable[["Policy", "Verdict", datetime], "Verdict"]
"""Takes a policy, what it says of the first path, and the time; returns that or a match."""

# One entry a host and leaf. At the limit all are forgotten: connections that live, and sessions,
# are refused where only another path matched, and are made anew.
_MEMORY_LIMIT = 4096
_SECURITY_LEVEL = 2  # OpenSSL's; the other verifier asks as much of keys and signatures
# Those that ask for nothing which the other verifier does not do.
_FLAGS = (
    ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | ssl.VERIFY_X509_PARTIAL_CHAIN
    | ssl.VERIFY_ALLOW_PROXY_CERTS
)


def _lists_safely(version: tuple[int, int, int]) -> bool:
    """Tell whether a context may be asked for its anchors while others use it (CVE-2024-0397)."""
    fixed = {(3, 11): 9, (3, 12): 3}
    return version[2] >= fixed.get(version[:2], 0)


_LISTS_SAFELY = _lists_safely(sys.version_info[:3])

_log = logging.getLogger("holdfast.enforcement")


class _Key(NamedTuple):
    host: str
    trust: Trust
    path: tuple[bytes, ...]  # the first one


class SecondLook:
    """The second looks of the connections of one context, and what they found; thread-safe."""

    def __init__(self, named_anchors: tuple[bytes, ...] = ()) -> None:
        """Start with nothing found.

        Args:
            named_anchors: Public anchors (DER) that the context is known to have. On a Python whose
                contexts cannot be asked safely they are all that is known.
        """
        self._named_anchors = named_anchors
        self._found: dict[_Key, tuple[Policy, OtherMatch]] = {}

    def of(self, connection: Any, context: ssl.SSLContext, trusting: ssl.SSLContext) -> Look:
        """Return the look for a connection in the middle or at the end of a full handshake.

        Args:
            connection: It knows what was presented.
            context: The one that the application has, to whose anchors another path may lead.
            trusting: The one whose anchors vouch for the first path; those of local exceptions are
                among them, and vouch for nothing else.
        """

        def look(policy: Policy, missed: Verdict, now: datetime) -> Verdict:
            try:
                if any(map(_asks_for_more, (context, trusting))):
                    return missed
                known = self._remembered(policy, missed, now)
                if known is not None:
                    return known
                presented = presented_chain(connection)
                anchors = self._anchors(missed, context)
            except Exception:  # noqa: BLE001  the first verdict stands
                _log.exception("there was no second look at the paths of %s", missed.host)
                return missed
            return self._search(policy, missed, presented, anchors, now)

        return look

    def again(self, policy: Policy, missed: Verdict, now: datetime) -> Verdict:
        """Look at what was found before, and touch no connection and no context."""
        known = self._remembered(policy, missed, now)
        if known is not None:
            return known
        entry = self._found.get(_key(missed))
        if entry is None:
            return missed
        *presented, anchor = entry[1].path
        return self._search(policy, missed, tuple(presented), (anchor,), now)

    def _remembered(self, policy: Policy, missed: Verdict, now: datetime) -> Verdict | None:
        entry = self._found.get(_key(missed))
        if entry is None or entry[0] is not policy:
            return None
        return entry[1].verdict if entry[1].since <= now <= entry[1].until else None

    def _search(
        self,
        policy: Policy,
        missed: Verdict,
        presented: tuple[bytes, ...],
        anchors: tuple[bytes, ...],
        now: datetime,
    ) -> Verdict:
        from holdfast.certificates.other_paths import match_on_other_path

        match = match_on_other_path(policy, missed, presented, anchors, now)
        if match is None:
            return missed
        if len(self._found) >= _MEMORY_LIMIT:
            self._found.clear()
        self._found[_key(missed)] = policy, match
        return match.verdict

    def _anchors(self, missed: Verdict, context: ssl.SSLContext) -> tuple[bytes, ...]:
        if missed.pin_set is not None and missed.pin_set.trust is Trust.PRIVATE:
            return missed.pin_set.anchors
        listed = CContext.get_ca_certs(context, binary_form=True) if _LISTS_SAFELY else []
        return tuple(dict.fromkeys((*self._named_anchors, *listed)))


def _key(missed: Verdict) -> _Key:
    """Return what a match is remembered by; a miss is on a verified path of a set."""
    certificates = missed.chain.certificates if isinstance(missed.chain, VerifiedChain) else ()
    trust = missed.pin_set.trust if missed.pin_set is not None else Trust.PUBLIC
    return _Key(missed.host, trust, tuple(certificate.der for certificate in certificates))


def _asks_for_more(context: ssl.SSLContext) -> bool:
    asks_for = CContext.verify_flags.__get__(context) & ~int(_FLAGS)
    return bool(asks_for) or CContext.security_level.__get__(context) > _SECURITY_LEVEL
