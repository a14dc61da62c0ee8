"""Versions with which pins are worth less, and roots to stop trusting.

Only what bears on pinning is listed: a name or path that is not checked, a parser that fails before
the verdict, a trusted key that others hold. A distribution may have mended an old version number:
these are warnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

CHECKED = date(2026, 11, 23)

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KnownBad:
    """A weakness and the versions that have it.

    Attributes:
        id: The CVE.
        product: "Python", "OpenSSL", "cryptography" or "certifi".
        ranges: From the first affected version to the first that is mended, which is not in the
            range.
        effect: What it means for somebody who pins.
        source: Where the versions stand.
    """

    id: str
    product: str
    ranges: tuple[tuple[Version, Version], ...]
    effect: str
    source: str

    def affects(self, version: Version) -> bool:
        """Tell whether a version has it."""
        return any(first <= version < mended for first, mended in self.ranges)

    def mended_in(self, version: Version) -> str:
        """Return the version to go to from an affected one."""
        mended = next(mended for first, mended in self.ranges if first <= version < mended)
        return ".".join(map(str, mended))


# Supported since 3.11; older ones do not run this code. `lessThan` of the CVE records, pre-releases
# left out.
_PYTHON_AUTUMN_2026 = (
    ((3, 11), (3, 11, 17)),
    ((3, 12), (3, 12, 15)),
    ((3, 13), (3, 13, 16)),
    ((3, 14), (3, 14, 8)),
)

KNOWN_BAD = (
    KnownBad(
        "CVE-2026-19553",
        "Python",
        _PYTHON_AUTUMN_2026,
        "asyncio and wrap_bio skip the name check when no server name is given "
        "(pinned contexts refuse that)",
        "https://www.cve.org/CVERecord?id=CVE-2026-19553",
    ),
    KnownBad(
        "CVE-2026-19445",
        "Python",
        _PYTHON_AUTUMN_2026,
        "a server that swaps contexts in sni_callback may use freed memory",
        "https://www.cve.org/CVERecord?id=CVE-2026-19445",
    ),
    KnownBad(
        "CVE-2026-115557",
        "Python",
        (
            ((3, 11), (3, 11, 18)),
            ((3, 12), (3, 12, 16)),
            ((3, 13), (3, 13, 18)),
            ((3, 14), (3, 14, 10)),
            ((3, 15), (3, 15, 2)),
        ),
        "intermediate CAs whose keys were compromised in October 2026 are still accepted, "
        "so hosts without leaf pins can be impersonated",
        "https://www.cve.org/CVERecord?id=CVE-2026-115557",
    ),
    KnownBad(
        "CVE-2024-0397",
        "Python",
        (((3, 11), (3, 11, 9)), ((3, 12), (3, 12, 3))),
        "a context that is asked for its CAs while others connect with it may crash "
        "(local exceptions ask; the second look does not)",
        "https://www.cve.org/CVERecord?id=CVE-2024-0397",
    ),
    KnownBad(
        "CVE-2023-40217",
        "Python",
        (((3, 11), (3, 11, 5)),),
        "bytes that came before the handshake are read as if they were authenticated (servers)",
        "https://www.cve.org/CVERecord?id=CVE-2023-40217",
    ),
    KnownBad(
        "CVE-2022-3602",
        "OpenSSL",
        (((3, 0, 0), (3, 0, 7)),),
        "a crafted certificate overflows a buffer while the path is verified",
        "https://www.cve.org/CVERecord?id=CVE-2022-3602",
    ),
    KnownBad(
        "CVE-2022-0778",
        "OpenSSL",
        (((1, 1, 1, 0), (1, 1, 1, 14)), ((3, 0, 0), (3, 0, 2))),
        "a crafted certificate makes the parser loop for ever, before any verdict",
        "https://www.cve.org/CVERecord?id=CVE-2022-0778",
    ),
    KnownBad(
        "CVE-2026-34073",
        "cryptography",
        (((0,), (46, 0, 6)),),
        "offline verification does not apply name constraints to the host's own name",
        "https://www.cve.org/CVERecord?id=CVE-2026-34073",
    ),
    KnownBad(
        "CVE-2026-111943",
        "certifi",
        (((0,), (2026, 10, 18)),),
        "the bundle holds a root with compromised intermediate CAs, "
        "and `holdfast pin` takes their certificates for public ones",
        "https://bugzilla.mozilla.org/show_bug.cgi?id=2083449",
    ),
)


@dataclass(frozen=True, slots=True)
class DistrustedRoot:
    """A root that browsers have removed, which a platform's store may still hold."""

    name: str
    cert_sha256: bytes
    reason: str
    source: str


DISTRUSTED_ROOTS = (
    DistrustedRoot(
        "emSign ECC Root CA - G3",
        bytes.fromhex("86a1ecba089c4a8d3bbe2734c612ba341d813e043cf9e8a862cd5c57a36bbe6b"),
        "the keys of intermediate CAs below it were compromised in October 2026 (CVE-2026-111943)",
        "https://bugzilla.mozilla.org/show_bug.cgi?id=2083449",
    ),
)
