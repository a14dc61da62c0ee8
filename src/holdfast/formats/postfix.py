"""Postfix's TLS policy map (`smtp_tls_policy_maps`) with the level `fingerprint`.

At this level the digest of the leaf counts alone, of its key or of the certificate: neither chain
nor name nor dates are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import HoldfastError, Problem
from holdfast.formats.dictionaries import distinct
from holdfast.formats.hexadecimal import colons, pin_in
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import put_between_marks, text_of
from holdfast.formats.platform import Kinds, Places, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import PinAlgorithm

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Postfix",
    entries=(Kinds.APEX,),
    places=Places.LEAF,
    certificate_pins=True,
    one_entry_a_host=True,
    verifies=False,
    scheme="smtp",
)
_LEVEL = "fingerprint"


def scan(data: bytes) -> Reading:
    """Read the entries of a map that pin.

    Raises:
        PolicyError: The file is no text.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    rules = []
    for line, entry in _entries(text_of(data)):
        destination, level, *attributes = entry.split()
        if level != _LEVEL:
            continue
        place = f"line {line}"
        host = _host(destination, place, problems, losses)
        pins = [
            # The digest may be that of the certificate too: which one is not said.
            (place, pin_in(text, PinAlgorithm.SPKI, place, problems))
            for attribute in attributes
            if attribute.startswith("match=")
            for text in attribute.removeprefix("match=").split("|")
        ]
        found = distinct(((there, pin) for there, pin in pins if pin is not None), losses)
        if not pins:
            problems.append(Problem(place, "the entry has no digest", "write match=..."))
        losses.append(_of_kind(place))
        if host is not None:
            hosts = (PlatformHost(host),)
            rules.append(Rule(name=host.replace(".", "-"), hosts=hosts, leaf=found, place=place))
    return Reading(tuple(rules), tuple(losses), tuple(problems))


def _entries(text: str) -> list[tuple[int, str]]:
    """Return the logical lines: one that begins with white space goes on with the one before."""
    entries: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and entries:
            entries[-1][1].append(line.strip())
        else:
            entries.append((number, [line.strip()]))
    joined = ((number, " ".join(lines)) for number, lines in entries)
    return [(number, entry) for number, entry in joined if len(entry.split()) > 1]


def _host(destination: str, place: str, problems: list[Problem], losses: list[Loss]) -> str | None:
    name = destination.partition("]")[0].removeprefix("[")
    if destination.startswith("."):
        losses.append(
            Loss(
                kind=LossKind.HOSTS,
                effect=Effect.LETS_THROUGH,
                place=place,
                consequence=f"the hosts below {name} are not imported: no pattern covers just them",
            )
        )
        return None
    try:
        return canonical_host(name.partition(":")[0] if name.count(":") == 1 else name)
    except HoldfastError as error:
        problems.append(Problem.of(place, error, "mend it"))
        return None


def _of_kind(place: str) -> Loss:
    return Loss(
        kind=LossKind.CERTIFICATE_PINS,
        effect=Effect.REFUSES,
        place=place,
        consequence="a digest is taken for that of a key; Postfix takes it for a certificate's too",
    )


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules between the marks of a map, as `Format.write` says."""
    lines = [
        f"{entry.host} {_LEVEL} match={'|'.join(map(colons, rule.pins))}"
        for rule in rules
        for entry in rule.hosts
    ]
    before = (
        "# smtp_tls_policy_maps = hash:/etc/postfix/tls_policy",
        "# smtp_tls_fingerprint_digest = sha256",
    )
    return put_between_marks(lines, present, comment="#", before=before)


def _is_postfix(_file_name: str, data: bytes) -> bool:
    return f" {_LEVEL} ".encode() in data and b"match=" in data


FORMAT = Format(name="postfix", semantics=SEMANTICS, recognizes=_is_postfix, scan=scan, write=write)
