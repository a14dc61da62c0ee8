"""What can already be seen to speak against pinning a host, before its first pin is written.

All of it are hints from a few connections and one certificate. Nothing here proves that pinning
will go well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

from holdfast.certificates.describe import CertificateDescription, describe
from holdfast.certificates.trust_anchors import is_public_root
from holdfast.cli.first_look import Look
from holdfast.findings.finding import Finding, Severity
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.pin import Pin

_Told = tuple[str, str, str, str]  # rule, what is the case, what to do about it, source

_SHORT_LIFE = timedelta(days=10)
_SHOWN_ADDRESSES = 3
_FOREIGN_DOMAINS = 3  # a certificate shared by so many domains is not one owner's

_OWASP = "https://cheatsheetseries.owasp.org/cheatsheets/Pinning_Cheat_Sheet.html"
_ROTATING_INTERMEDIATES = "https://letsencrypt.org/2024/03/19/new-intermediate-certificates"
_SHORT_LIVED = "https://letsencrypt.org/docs/profiles/"
_CDN_PINNING = "https://developers.cloudflare.com/ssl/reference/certificate-pinning/"

# Where the aliases of customers' hosts end, at large CDNs.
_CDN_SUFFIXES = (
    ".akamaiedge.net",
    ".azureedge.net",
    ".azurefd.net",
    ".cdn.cloudflare.net",
    ".cloudfront.net",
    ".edgekey.net",
    ".fastly.net",
    ".fastlylb.net",
)
# Organizations whose CAs issue mostly what their own platforms manage, and renew with new keys.
_MANAGED_ISSUERS = (
    "O=Amazon",
    "O=Cloudflare",
    "O=Google Trust Services",
    "O=Microsoft Corporation",
)


def against_pinning(look: Look, ca_pins: Collection[Pin] = ()) -> tuple[Finding, ...]:
    """Say what the verified paths to a host tell against pinning it.

    Args:
        look: What was seen.
        ca_pins: The CAs that are to be pinned for the host; none when its own keys are.
    """
    chains = [chain for _, chain in look.paths]
    leaf = describe(chains[0].certificates[0].der)
    return tuple(
        Finding(
            rule=rule,
            severity=Severity.WARNING,
            place=str(look.endpoint),
            reason=reason,
            action=action,
            source=source,
            subject=look.endpoint.host,
        )
        for rule, reason, action, source in (
            *_lone_intermediate(chains, {pin.digest for pin in ca_pins}),
            *_several(chains),
            *_unseen(look.unseen),
            *_cdn(leaf, look.endpoint.host, look.canonical_name),
            *_short_life(leaf),
            *_wildcard(leaf),
        )
    )


def _lone_intermediate(chains: Sequence[VerifiedChain], pinned: set[bytes]) -> Iterator[_Told]:
    """Tell when a path to a public root is pinned by intermediates alone."""
    for chain in chains:
        cas = [certificate.spki_sha256 for certificate in chain.certificates[1:]]
        matches = pinned.intersection(cas)
        if matches and is_public_root(cas[-1]) and not any(map(is_public_root, matches)):
            issuer = describe(chain.certificates[1].der).subject
            yield (
                "HF307",
                f"--ca pins {issuer}, an intermediate that its CA may replace without notice",
                "pin the roots of every CA that may issue for it, of both generations (--backup)",
                _ROTATING_INTERMEDIATES,
            )
            return


def _several(chains: Sequence[VerifiedChain]) -> Iterator[_Told]:
    keys = {chain.certificates[0].spki_sha256 for chain in chains}
    if len(keys) > 1:
        yield (
            "HF301",
            f"its addresses show {len(keys)} different keys",
            "ask how many keys there are: one that was not seen now will be refused",
            _OWASP,
        )
    issuers = {chain.certificates[1].spki_sha256 for chain in chains if chain.certificates[1:]}
    if len(issuers) > 1:
        yield (
            "HF302",
            f"its addresses show certificates of {len(issuers)} different CAs",
            "ask who obtains the certificates: where several do, keys change without notice",
            _OWASP,
        )


def _unseen(addresses: Sequence[str]) -> Iterator[_Told]:
    if addresses:
        shown = ", ".join(addresses[:_SHOWN_ADDRESSES])
        more = len(addresses) - _SHOWN_ADDRESSES
        yield (
            "HF306",
            f"not all of its addresses were seen: not {shown}"
            + (f" and {more} more" if more > 0 else ""),
            "pin from where they can be reached too, or ask whether they have the same key",
            _OWASP,
        )


def _cdn(leaf: CertificateDescription, host: str, canonical_name: str | None) -> Iterator[_Told]:
    if hints := list(_cdn_hints(leaf, host, canonical_name)):
        yield (
            "HF303",
            f"it looks like a CDN or a managed certificate ({'; '.join(hints)}): a hint, no proof",
            "ask who holds the private key: if it is not you, it will change without notice",
            _CDN_PINNING,
        )


def _short_life(leaf: CertificateDescription) -> Iterator[_Told]:
    if leaf.not_before is None or leaf.not_after is None:
        return
    life = leaf.not_after - leaf.not_before
    if life <= _SHORT_LIFE:
        hours = life / timedelta(hours=1)
        yield (
            "HF304",
            f"its certificate lives {hours:.0f} hours: it is renewed all the time",
            "make sure that renewals keep the key, or this pin holds only for days",
            _SHORT_LIVED,
        )


def _wildcard(leaf: CertificateDescription) -> Iterator[_Told]:
    for name in leaf.names:
        if name.startswith("*."):
            yield (
                "HF305",
                f"the certificate is for {name}: other hosts hold the same key",
                "ask which they are: whoever takes one of them can pass as this host",
                _OWASP,
            )
            return


def _cdn_hints(
    leaf: CertificateDescription, host: str, canonical_name: str | None
) -> Iterator[str]:
    name = (canonical_name or "").rstrip(".").lower()
    if name != host and name.endswith(_CDN_SUFFIXES):
        yield f"its name leads to {name}"
    for organization in _MANAGED_ISSUERS:
        if organization in leaf.issuer:
            yield f"issuer {organization.removeprefix('O=')}"
    domains = _domains(leaf.names)
    if len(domains) > _FOREIGN_DOMAINS:
        yield f"the certificate is for {len(domains)} different domains"


def _domains(names: Sequence[str]) -> set[str]:
    """Return the registrable domains of a certificate's names."""
    if len(names) <= _FOREIGN_DOMAINS:
        return set()
    from publicsuffixlist import PublicSuffixList

    suffixes = PublicSuffixList()
    hosts = [name.removeprefix("*.").lower() for name in names]
    domains = {suffixes.privatesuffix(host) for host in hosts if not is_ip_literal(host)}
    return {domain for domain in domains if domain}
