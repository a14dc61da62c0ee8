"""Which anchors a command trusts for hosts of the public web."""

from __future__ import annotations

import ssl
from pathlib import Path

from holdfast.certificates.describe import describe
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.trust_anchors import is_expected_anchor, load_anchors
from holdfast.cli.probe import verifying_context
from holdfast.formats.lint_public_cas import PublicRoot
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.verdict import Verdict


def public_roots() -> tuple[bytes, ...]:
    """Return the roots that browsers agree on, as DER."""
    import certifi

    return load_anchors(certifi.where())


def named_public_roots() -> dict[Pin, PublicRoot]:
    """Return the public roots by the pins of their keys and of themselves, with whose they are."""
    roots = {}
    for der in public_roots():
        about = describe(der)
        certificate = chain_certificate(der)
        root = PublicRoot(about.subject, about.organization or about.subject)
        roots[Pin(PinAlgorithm.SPKI, certificate.spki_sha256)] = root
        roots[Pin(PinAlgorithm.CERTIFICATE, certificate.cert_sha256)] = root
    return roots


def public_context(anchors: tuple[bytes, ...] | None) -> ssl.SSLContext:
    """Return a context that trusts `--anchors`, else the machine's store and the public roots."""
    if anchors is not None:
        return verifying_context(anchors, with_platform_store=False)
    return verifying_context(public_roots(), with_platform_store=True)


def given_anchors(path: Path | None) -> tuple[bytes, ...] | None:
    """Return the certificates of `--anchors`, or None when it was not given.

    Raises:
        TrustStoreError: The file holds anything but certificates.
    """
    return None if path is None else load_anchors(path)


def ends_as_expected(verdict: Verdict, named: tuple[bytes, ...] | None) -> bool | None:
    """Tell whether a path ends in an anchor of `--anchors` or in a public root.

    Returns:
        None where it cannot be told, as for a verdict without a path.
    """
    if not isinstance(verdict.chain, VerifiedChain):
        return None
    return is_expected_anchor(verdict.chain.certificates[-1], named or ())
