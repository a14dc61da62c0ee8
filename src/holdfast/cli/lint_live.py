"""The chains that servers show now, for lint: which of the pins are in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from holdfast.certificates.describe import describe
from holdfast.cli.lint_files import Linted
from holdfast.cli.probe import Probed, probe
from holdfast.cli.trust import public_context
from holdfast.findings.finding import Finding
from holdfast.findings.live_endpoint import unreachable
from holdfast.formats.decide import rules_for, seen_by
from holdfast.formats.lint_live import Pinned, Seen, live_findings
from holdfast.formats.lint_platform import counted
from holdfast.formats.lint_public_cas import PublicRoots
from holdfast.formats.platform import Kinds
from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.endpoint import DEFAULT_PORTS, Endpoint
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import probed_endpoints

_AT_ONCE = 32  # connections


class Look(NamedTuple):
    """What was found against the pins of one file by looking at its endpoints.

    Attributes:
        linted: The file, with what was found.
        is_whole: Whether every endpoint could be looked at, and there was one.
    """

    linted: Linted
    is_whole: bool


async def look(
    files: Sequence[Linted],
    named: Sequence[Endpoint],
    anchors: tuple[bytes, ...] | None,
    roots: PublicRoots,
    *,
    timeout: float,
) -> list[Look]:
    """Hold the pins of files against the chains of their endpoints.

    Args:
        files: What was linted.
        named: Where to look instead of the hosts that the files name themselves.
        anchors: What to trust instead of the machine's store and the public roots.
        roots: The public roots, by pin.
        timeout: Seconds for each endpoint.
    """
    wanted = [list(_endpoints(linted, named)) for linted in files]
    places = list(dict.fromkeys(endpoint for pairs in wanted for _, endpoint in pairs))
    context = public_context(anchors)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def visit(endpoint: Endpoint) -> Probed:
        async with slots:
            return await probe(endpoint, context, timeout=timeout)

    probed = dict(zip(places, await asyncio.gather(*map(visit, places)), strict=True))
    seen = {endpoint: tuple(_seen(one)) for endpoint, one in probed.items()}
    looks = []
    for linted, pairs in zip(files, wanted, strict=True):
        chains: dict[tuple[str, tuple[Pin, ...]], tuple[Pinned, list[Seen]]] = {}
        for pinned, endpoint in pairs:
            key = pinned.name, tuple(pinned.places)
            chains.setdefault(key, (pinned, []))[1].extend(seen[endpoint])
        found: list[Finding] = [
            finding
            for pinned, certificates in chains.values()
            for finding in live_findings(pinned, certificates, roots)
        ]
        silent = [one for one in dict.fromkeys(place for _, place in pairs) if not seen[one]]
        found += [unreachable(one, probed[one].reason) for one in silent]
        looks.append(Look(linted.with_findings(found), bool(pairs) and not silent))
    return looks


def _endpoints(linted: Linted, named: Sequence[Endpoint]) -> Iterator[tuple[Pinned, Endpoint]]:
    """Yield where to look, each with the pins that a client holds against it there."""
    if linted.policy is not None:
        for pin_set in linted.policy.pin_sets:
            for endpoint in named or probed_endpoints(pin_set):
                if linted.policy.pin_set_for(endpoint.host) == pin_set:
                    yield Pinned.by_set(pin_set), endpoint
    elif linted.platform is not None and linted.reading is not None:
        semantics = linted.platform.semantics
        rules = counted(linted.reading.rules, semantics)
        endpoints = named or [
            Endpoint(semantics.scheme, entry.host, DEFAULT_PORTS[semantics.scheme])
            for rule in rules
            for entry in rule.hosts
            if Kinds.APEX in entry.kinds
        ]
        for endpoint in dict.fromkeys(endpoints):
            for rule in rules_for(rules, semantics, seen_by(semantics, endpoint.host)):
                if rule.pins:
                    yield Pinned.by_rule(rule), endpoint


def _seen(probed: Probed) -> Iterator[Seen]:
    """Yield the certificates of a path, and those that the server showed beside it."""
    path = probed.chain.certificates if isinstance(probed.chain, VerifiedChain) else ()
    presented = probed.presented.certificates if probed.presented else ()
    leaf = (path or presented)[:1]
    for certificate in dict.fromkeys((*path, *presented)):
        about = describe(certificate.der)
        yield Seen(
            pins=_pins(certificate),
            name=about.subject,
            organization=about.organization,
            is_leaf=certificate in leaf,
            not_before=about.not_before,
            not_after=about.not_after,
            where=str(probed.endpoint),
        )


def _pins(certificate: ChainCertificate) -> frozenset[Pin]:
    return frozenset(
        (
            Pin(PinAlgorithm.SPKI, certificate.spki_sha256),
            Pin(PinAlgorithm.CERTIFICATE, certificate.cert_sha256),
        )
    )
