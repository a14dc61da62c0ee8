"""Holding endpoints against a policy: which to visit, whom to trust, and what a client decides.

Each endpoint is verified as its pin set's clients would verify it: public sets by the public
anchors, private sets by their own anchors alone, pins-only sets by the handshake's proof of the
leaf's key.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.certificates.offline_decision import decide_offline
from holdfast.certificates.other_paths import match_on_other_path
from holdfast.cli.output import progress
from holdfast.cli.probe import Failure, Probed, probe, unverified_context, verifying_context
from holdfast.cli.soon_over import soon_over
from holdfast.cli.trust import ends_as_expected, public_context
from holdfast.errors import HostNameError
from holdfast.findings.finding import Finding, Severity
from holdfast.findings.live_endpoint import finding_of, unreachable
from holdfast.findings.observed import observe, path_of
from holdfast.formats.lint_reach import UNPROBED
from holdfast.pins.chain import PresentedChain, ProvenLeaf
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.evaluate import evaluate, untrusted, without_path
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin_set import PinSet, Trust, probed_endpoints
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Verdict

_CONCURRENCY = 32  # connections at once, as `holdfast check` has it by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a client would decide at one endpoint; no verdict where nothing could be determined."""

    endpoint: Endpoint
    time: datetime
    address: str | None
    verdict: Verdict | None = None
    observed: Observed | None = None
    presented: PresentedChain | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def violates(self) -> bool:
        """Whether a client refuses or reports here."""
        return self.verdict is not None and self.verdict.violation

    @property
    def outcome(self) -> str:
        """The verdict's outcome, or "unreachable"."""
        return "unreachable" if self.verdict is None else self.verdict.outcome.value


def endpoints_of(policy: Policy) -> tuple[Endpoint, ...]:
    """Return what a probe of the policy visits."""
    found = (endpoint for pin_set in policy.pin_sets for endpoint in probed_endpoints(pin_set))
    return tuple(dict.fromkeys(found))


def select(
    hosts: Sequence[str], known: Sequence[Endpoint], default_scheme: str
) -> tuple[Endpoint, ...]:
    """Return the endpoints that the user means.

    Args:
        hosts: A bare host stands for every known endpoint of it, or else for its usual port; with a
            scheme or port it is an endpoint of its own. No host at all stands for all known ones.
        known: What the policy names.
        default_scheme: For hosts given without one.

    Raises:
        HostNameError: One is neither.
    """
    if not hosts:
        return tuple(known)
    chosen: list[Endpoint] = []
    for text in hosts:
        endpoint = Endpoint.parse(text, default_scheme=default_scheme)
        same_host = [other for other in known if other.host == endpoint.host]
        chosen += same_host if same_host and _is_bare(text) else [endpoint]
    return tuple(dict.fromkeys(chosen))


def not_probed(policy: Policy) -> tuple[Finding, ...]:
    """Name the sets that cannot be probed, since their patterns name no host to connect to."""
    return tuple(
        Finding(
            rule=UNPROBED.id,
            severity=Severity.NOTE,
            place=f"pin_set.{pin_set.name}",
            reason="cannot be probed: its wildcards name no host to connect to",
            action="list hosts to connect to as `endpoints`",
            source=UNPROBED.source,
            subject=pin_set.name,
        )
        for pin_set in policy.pin_sets
        if pin_set.hosts and not probed_endpoints(pin_set)
    )


async def check_endpoints(
    policy: Policy,
    endpoints: Iterable[Endpoint],
    anchors: tuple[bytes, ...] | None,
    *,
    concurrency: int,
    timeout: float,
) -> AsyncIterator[Checked]:
    """Look at endpoints, many at once, and yield each as soon as it is done.

    Args:
        policy: What to hold them against.
        endpoints: Where to look.
        anchors: What public sets trust instead of the machine's store and the public roots.
        concurrency: How many connections at once.
        timeout: Seconds for each endpoint.
    """
    contexts = _Contexts(anchors)
    slots = asyncio.Semaphore(concurrency)

    async def check(endpoint: Endpoint) -> Checked:
        async with slots:
            pin_set = policy.pin_set_for(endpoint.host)
            context = contexts.for_set(pin_set)
            probed = await probe(endpoint, context, timeout=timeout)
            return _judged(policy, probed, anchors, context)

    tasks = [asyncio.create_task(check(endpoint)) for endpoint in endpoints]
    for next_done in asyncio.as_completed(tasks):
        yield await next_done


def look_at(
    policy: Policy, endpoints: Sequence[Endpoint], anchors: tuple[bytes, ...] | None, timeout: float
) -> list[Checked]:
    """Look at endpoints as `check_endpoints` does, with progress on a terminal.

    Returns:
        What was seen, in the order of the endpoints.
    """

    async def visit() -> dict[Endpoint, Checked]:
        seen = {}
        with progress(len(endpoints), "looking") as done:
            async for checked in check_endpoints(
                policy, endpoints, anchors, concurrency=_CONCURRENCY, timeout=timeout
            ):
                seen[checked.endpoint] = checked
                done()
        return seen

    seen = asyncio.run(visit())
    return [seen[endpoint] for endpoint in endpoints]


class _Contexts:
    """One context for each trust: loading anchors costs more than a handshake."""

    def __init__(self, anchors: tuple[bytes, ...] | None) -> None:
        self._anchors = anchors
        self._made: dict[tuple[bytes, ...] | Trust, ssl.SSLContext] = {}

    def for_set(self, pin_set: PinSet | None) -> ssl.SSLContext:
        """Return the context for the hosts of a set, or for unlisted hosts."""
        trust = pin_set.trust if pin_set else Trust.PUBLIC
        key = pin_set.anchors if pin_set and trust is Trust.PRIVATE else trust
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def _make(self, key: tuple[bytes, ...] | Trust) -> ssl.SSLContext:
        if isinstance(key, tuple):
            return verifying_context(key, with_platform_store=False)
        return unverified_context() if key is Trust.PINS_ONLY else public_context(self._anchors)


def _judged(
    policy: Policy, probed: Probed, anchors: tuple[bytes, ...] | None, context: ssl.SSLContext
) -> Checked:
    """Decide as a client would."""
    endpoint, time = probed.endpoint, probed.time
    if probed.failure is Failure.UNREACHABLE:
        return Checked(
            endpoint=endpoint,
            time=time,
            address=probed.address,
            findings=(unreachable(endpoint, probed.reason),),
        )
    verdict, observed = _decided(policy, probed, context)
    if observed is None and verdict.violation:
        observed = observe(
            verdict,
            presented=probed.presented,
            anchor_is_public=ends_as_expected(verdict, anchors),
            verify_code=probed.verify_code,
        )
    return Checked(
        endpoint=endpoint,
        time=time,
        address=probed.address,
        verdict=verdict,
        observed=observed,
        presented=probed.presented,
        findings=tuple(_findings(verdict, observed, probed)),
    )


def _findings(verdict: Verdict, observed: Observed | None, probed: Probed) -> Iterator[Finding]:
    finding = finding_of(verdict, observed, probed.endpoint, probed.time)
    if finding is not None:
        yield finding
    leaf = next(iter(path_of(verdict)), None)
    yield from soon_over(probed.endpoint, leaf, verdict.pin_set, probed.time)


def _decided(
    policy: Policy, probed: Probed, context: ssl.SSLContext
) -> tuple[Verdict, Observed | None]:
    host = probed.endpoint.host
    if probed.failure is Failure.UNTRUSTED:
        return untrusted(policy, host, probed.reason, probed.presented), None
    if probed.chain is None:
        return without_path(policy, host, probed.reason), None
    if isinstance(probed.chain, ProvenLeaf):
        # The name and the validity, as far as the set asks for them; the handshake did not check
        # them.
        leaf = probed.chain.certificate.der
        refused, failure = decide_offline(policy, host, (leaf,), (), probed.time)
        if failure is not None:
            return refused, failure.observed
    verdict = evaluate(policy, host, probed.chain, probed.time)
    presented = probed.presented.certificates if probed.presented else ()
    sent = tuple(certificate.der for certificate in presented)
    trusted = tuple(context.get_ca_certs(binary_form=True))
    match = match_on_other_path(policy, verdict, sent, trusted, probed.time)
    return match.verdict if match else verdict, None


def _is_bare(text: str) -> bool:
    """Tell whether text is a host with neither a scheme nor a port."""
    try:
        canonical_host(text)
    except HostNameError:
        return False
    return True
