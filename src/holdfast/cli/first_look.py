"""The first look at a host that is to be pinned: every address, verified, and the anchor judged.

1. A key is pinned only from a path that verified for the host's name now.
2. The path must end in a root that browsers agree on (certifi), or in an anchor that the user gave.
   The machine's own store verifies too, but it may hold an inspection proxy's CA, so what it
   vouches for alone is refused with its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from holdfast.certificates.describe import describe
from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.trust_anchors import public_root_spki
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.cli.probe import Failure, Probed, in_plain_words, probe
from holdfast.cli.resolve import Resolved, resolve
from holdfast.cli.trust import public_context, public_roots
from holdfast.findings.observed import observed_by_verifier
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.verdict import Observed, Outcome

MOST_ADDRESSES = 8  # of one host: a CDN may have dozens, and a few show what there is to see

_NOT_VERIFIED = {
    Observed.WRONG_HOST: "pin a name that the certificate is for, or have it replaced",
    Observed.CLOCK: "have the certificate renewed, or set this machine's clock",
}
_NOT_TRUSTED = (
    "do not pin what you see here; if the server has a private CA, give it with --anchors FILE"
)
_INSPECTION = (
    "pin from a network without inspection; "
    "if this anchor is your own CA, give it with --anchors FILE"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a host is not pinned."""

    endpoint: Endpoint
    reason: str
    hint: str
    determined: bool = True
    """False when nothing was seen that could be judged."""


@dataclass(frozen=True, slots=True)
class Look:
    """The verified paths to a host, each with the place where it was seen."""

    endpoint: Endpoint
    paths: tuple[tuple[str, VerifiedChain], ...]
    canonical_name: str | None = None
    """Where the host's aliases end."""
    unseen: tuple[str, ...] = ()
    """Addresses of the host that did not answer, or were too many to look at."""


def look_at_servers(
    endpoints: tuple[Endpoint, ...],
    anchors: tuple[bytes, ...] | None,
    *,
    address: str | None,
    timeout: float,
    done: Callable[[], None],
) -> list[Look | Refusal]:
    """Connect to every address of every endpoint.

    Args:
        endpoints: Where to look.
        anchors: What to trust instead of the machine's store and the public roots.
        address: The only IP address to connect to, instead of what the names resolve to.
        timeout: Seconds for each connection, and for each resolution.
        done: Called after each endpoint.
    """
    context = public_context(anchors)

    async def look(endpoint: Endpoint) -> Look | Refusal:
        resolved = Resolved((address,), endpoint.host) if address else None
        try:
            resolved = resolved or await resolve(endpoint, timeout)
        except OSError as error:
            return _unreachable(endpoint, in_plain_words(error))
        probed = await asyncio.gather(
            *(
                probe(endpoint, context, timeout=timeout, address=one)
                for one in resolved.addresses[:MOST_ADDRESSES]
            )
        )
        return _judged(endpoint, probed, resolved, anchors)

    async def look_and_tell(endpoint: Endpoint) -> Look | Refusal:
        seen = await look(endpoint)
        done()
        return seen

    async def look_at_all() -> list[Look | Refusal]:
        return await asyncio.gather(*map(look_and_tell, endpoints))

    return asyncio.run(look_at_all())


def look_at_file(
    endpoint: Endpoint, file: Path, anchors: tuple[bytes, ...] | None
) -> Look | Refusal:
    """Verify a chain from a file for an endpoint's host, without a connection.

    Raises:
        CertificateError: The file holds anything but certificates.
    """
    answer = verify_path(
        load_chain(file), anchors or public_roots(), endpoint.host, datetime.now(UTC)
    )
    if not isinstance(answer, PathFailure):
        return Look(endpoint, ((str(file), answer),))
    if answer.outcome is Outcome.UNDECIDABLE:
        return Refusal(endpoint, answer.reason, "the file should hold the leaf and its issuers")
    return _not_verified(endpoint, answer.reason, answer.observed)


def _judged(
    endpoint: Endpoint,
    probed: list[Probed],
    resolved: Resolved,
    anchors: tuple[bytes, ...] | None,
) -> Look | Refusal:
    """Turn what was seen at a host's addresses into paths, or the gravest reason against them."""
    for seen in probed:
        if seen.failure is Failure.UNTRUSTED:
            return _not_verified(endpoint, seen.reason, observed_by_verifier(seen.verify_code))
        if seen.failure is Failure.UNREADABLE:
            return Refusal(endpoint, seen.reason, "the server's certificate has to be replaced")
    paths = [
        (seen.address or "", seen.chain) for seen in probed if isinstance(seen.chain, VerifiedChain)
    ]
    if not paths:
        return _unreachable(endpoint, probed[0].reason)
    if anchors is None:
        for _, chain in paths:
            anchor = chain.certificates[-1]
            if anchor.spki_sha256 not in public_root_spki():
                name = describe(anchor.der).subject
                return Refusal(
                    endpoint,
                    f"verified by this machine, but its anchor {name} is not a public root: "
                    "an inspection proxy looks like this",
                    _INSPECTION,
                )
    seen_at = {place for place, _ in paths}
    unseen = tuple(one for one in resolved.addresses if one not in seen_at)
    return Look(endpoint, tuple(paths), resolved.canonical_name, unseen)


def _not_verified(endpoint: Endpoint, reason: str, observed: Observed) -> Refusal:
    return Refusal(endpoint, f"not verified: {reason}", _NOT_VERIFIED.get(observed, _NOT_TRUSTED))


def _unreachable(endpoint: Endpoint, reason: str) -> Refusal:
    return Refusal(endpoint, reason, "check the name, the port and the network", determined=False)
