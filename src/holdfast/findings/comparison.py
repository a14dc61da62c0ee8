"""The two columns of an explanation: what was expected, and what was seen.

Expected pins stand there in full. Digests of what was seen are cut to a length that tells keys
apart and that a policy refuses: new pins come from the key's owner, not from the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.certificates.describe import describe
from holdfast.findings.escape import escaped
from holdfast.findings.layout import WIDTH, labeled, rfc3339
from holdfast.findings.observed import path_of, sent
from holdfast.pins.chain import ProvenLeaf
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import PinSet, Require, Trust
from holdfast.pins.verdict import Observed, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pins.chain import ChainCertificate, PresentedChain

_ROLE = 8  # "backup" and two spaces
_SUBJECT_LIMIT = 120
_KEY_LIMIT = 60
_SHOWN_CERTIFICATES = 10
_DIGEST_SHOWN = 12


def expected_column(pin_set: PinSet | None, peer: str = "host") -> list[str]:
    """Return the left column: the pins of the set, and its anchors."""
    if pin_set is None:
        return [f"expected: nothing, no pin set covers the {peer}"]
    if not pin_set.pins:
        what = "a path to an anchor of the set"
    elif pin_set.require is Require.LEAF_AND_CA:
        what = "a leaf or backup pin, and a ca pin"
    else:
        what = "any one of these pins"
    if pin_set.pins and pin_set.trust is Trust.PRIVATE:
        what += ", under its anchors"
    lists = {"leaf": pin_set.leaf, "backup": pin_set.backup, "ca": pin_set.ca}
    rows = [f"{name.ljust(_ROLE)}{pin}" for name, pins in lists.items() for pin in pins]
    width = max(map(len, rows), default=WIDTH // 2)
    for anchor in pin_set.anchors:
        subject = escaped(describe(anchor).subject, _SUBJECT_LIMIT)
        rows += labeled("anchor", subject, indent=_ROLE, width=width)
    return [f"expected: {what}", *rows]


def seen_column(
    verdict: Verdict,
    observed: Observed | None,
    presented: PresentedChain | None,
    *,
    marks: dict[int, str],
    width: int,
) -> list[str]:
    """Return the right column: the path, or what was sent when none was verified."""
    certificates = path_of(verdict)
    if isinstance(verdict.chain, ProvenLeaf):
        title = "seen: a leaf with a proven key"
    elif certificates:
        title = "seen: verified path, leaf first"
    else:
        certificates = sent(verdict, presented)
        title = "seen: sent, none of it verified" if certificates else "seen: no certificate"
    pin_set = verdict.pin_set
    algorithms = [PinAlgorithm.SPKI]
    if pin_set and any(pin.algorithm is PinAlgorithm.CERTIFICATE for pin in pin_set.pins):
        algorithms.append(PinAlgorithm.CERTIFICATE)
    lines = [title]
    for position, certificate in enumerate(certificates[:_SHOWN_CERTIFICATES]):
        head, *tail = _certificate(
            certificate, algorithms, with_validity=observed is Observed.CLOCK
        )
        start = f"{marks.get(position, ' ')} {position} "
        lines += labeled(start, head, indent=len(start), width=width)
        for text in tail:
            lines += labeled("", text, indent=len(start), width=width)
    if len(certificates) > _SHOWN_CERTIFICATES:
        lines.append(f"  and {len(certificates) - _SHOWN_CERTIFICATES} more")
    return lines


def _certificate(
    certificate: ChainCertificate, algorithms: list[PinAlgorithm], *, with_validity: bool
) -> Iterator[str]:
    description = describe(certificate.der)
    yield escaped(description.subject, _SUBJECT_LIMIT) or "(no subject)"
    yield escaped(description.key, _KEY_LIMIT)
    digests = {
        PinAlgorithm.SPKI: certificate.spki_sha256,
        PinAlgorithm.CERTIFICATE: certificate.cert_sha256,
    }
    for algorithm in algorithms:
        yield shortened(Pin(algorithm, digests[algorithm]))
    if with_validity and description.not_before and description.not_after:
        yield f"from {rfc3339(description.not_before)}"
        yield f"to {rfc3339(description.not_after)}"


def shortened(pin: Pin) -> str:
    """Return enough of a pin to tell it from others, and too little to be one."""
    return f"{str(pin)[: len(pin.algorithm.value) + 1 + _DIGEST_SHOWN]}..."
