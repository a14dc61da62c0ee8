"""What public CAs have announced that bears on pins of their keys.

A CA is known by the organization in its certificates: the digests of keys are taken from the
certificates themselves (a trust store, a live chain), not listed here. A CA that is missing has
announced nothing that was read for this page, which is not to say that it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["CHECKED", "PUBLIC_CAS", "PublicCa", "ca_of"]

CHECKED = date(2026, 11, 23)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCa:
    """A public CA and what it has announced.

    Attributes:
        name: As people call it.
        organizations: What its certificates have as the subject's organization (O).
        intermediates: How its intermediates change.
        new_roots: Roots that are about to enter the trust stores beside the present ones.
        source: Where that is written.
    """

    name: str
    organizations: tuple[str, ...]
    intermediates: str
    source: str
    new_roots: tuple[str, ...] = ()


PUBLIC_CAS = (
    PublicCa(
        name="Let's Encrypt",
        organizations=("Internet Security Research Group", "Let's Encrypt"),
        intermediates="it issues from one of several at random, and has further ones in reserve",
        source="https://letsencrypt.org/certificates/",
        new_roots=("Root YE", "Root YR"),
    ),
    PublicCa(
        name="DigiCert",
        organizations=("DigiCert Inc", "DigiCert, Inc."),
        intermediates="it has replaced a dozen at once, and asks customers not to pin them",
        source="https://www.digicert.com/blog/certificate-pinning-what-is-certificate-pinning",
    ),
    PublicCa(
        name="Amazon Trust Services",
        organizations=("Amazon",),
        intermediates="since October 2022 they change without notice",
        source="https://repost.aws/knowledge-center/pin-application-acm-certificate",
    ),
    PublicCa(
        name="Google Trust Services",
        organizations=("Google Trust Services LLC", "Google Trust Services"),
        intermediates="they are rotated, and it asks clients not to rely on any of them",
        source="https://pki.google.com/faq.html",
    ),
)


def ca_of(organization: str | None) -> PublicCa | None:
    """Return the CA whose certificates name an organization, if it is one of these."""
    return next((ca for ca in PUBLIC_CAS if organization in ca.organizations), None)
