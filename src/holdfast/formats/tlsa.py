"""TLSA records (RFC 6698, RFC 7671) as a zone file has them.

PKIX-EE (1) and PKIX-TA (0) keep the usual check of chain, name and dates, which is what pins do
here; DANE-EE (3) and DANE-TA (2) replace it. A record is for one port of one host: every port of
the policy's hosts but 443 is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zone
import dns.zonefile
from dns.rdtypes.ANY.TLSA import TLSA

from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.formats.dictionaries import distinct
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import put_between_marks, text_of
from holdfast.formats.platform import Kinds, Places, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin, PinAlgorithm

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="DANE",
    entries=(Kinds.APEX,),
    places=Places.EITHER_ROLE,
    certificate_pins=True,
    addresses=False,
    one_entry_a_host=True,
)
_PORT = ("_443", "_tcp")
_TTL = 3600  # seconds
_PKIX_TA, _PKIX_EE, _DANE_TA, _DANE_EE = range(4)
_SHA256 = 1
_ALGORITHMS = (PinAlgorithm.CERTIFICATE, PinAlgorithm.SPKI)  # by selector


def scan(data: bytes) -> Reading:
    """Read the TLSA records of a zone.

    Raises:
        PolicyError: The text is no zone file.
    """
    text = text_of(data)
    problems: list[Problem] = []
    losses: list[Loss] = []
    leaf: dict[str, list[tuple[str, Pin]]] = {}
    ca: dict[str, list[tuple[str, Pin]]] = {}
    for owner, record in _records(text):
        host = _host_of(owner, losses)
        if host is None:
            continue
        pin = _pin_of(owner, record, problems, losses)
        is_leaf = record.usage in (_PKIX_EE, _DANE_EE)
        for pins, is_meant in ((leaf, is_leaf), (ca, not is_leaf)):
            pins.setdefault(host, [])
            if pin is not None and is_meant:
                pins[host].append((owner.to_text(), pin))
    rules = tuple(
        Rule(
            name=host.replace(".", "-"),
            hosts=(PlatformHost(host),),
            leaf=distinct(leaf[host], losses),
            ca=distinct(ca[host], losses),
            place=f"{'.'.join(_PORT)}.{host}.",
        )
        for host in leaf
        if leaf[host] or ca[host]
    )
    return Reading(rules, tuple(losses), tuple(problems))


def _records(text: str) -> list[tuple[dns.name.Name, TLSA]]:
    # Into a zone: `read_rrsets` looks through all names that it has for each one that it adds.
    zone = dns.zone.Zone(dns.name.root, relativize=False)
    try:
        with zone.writer(replacement=True) as transaction:
            dns.zonefile.Reader(
                dns.tokenizer.Tokenizer(text),
                dns.rdataclass.IN,
                transaction,
                allow_directives=False,  # no file is included, nothing is generated
                default_ttl=_TTL,
            ).read()
    except (dns.exception.DNSException, ValueError, KeyError, RecursionError) as error:
        fix = "mend it there"
        raise PolicyError([Problem("", f"this is no zone file: {error}", fix)]) from None
    return [
        (name, record)
        for name, records in zone.iterate_rdatasets(dns.rdatatype.TLSA)
        for record in records
        if isinstance(record, TLSA)
    ]


def _host_of(owner: dns.name.Name, losses: list[Loss]) -> str | None:
    labels = owner.to_text(omit_final_dot=True).split(".")
    host = ".".join(labels[2:])
    try:
        name = canonical_host(host)
    except HoldfastError:
        name = ""
    if not name or tuple(labels[:2]) != _PORT:
        losses.append(
            Loss(
                kind=LossKind.HOSTS,
                effect=Effect.LETS_THROUGH,
                place=owner.to_text(),
                consequence="only records for port 443 of a host are imported; a pin set covers "
                "every port",
            )
        )
        return None
    return name


def _pin_of(
    owner: dns.name.Name, record: TLSA, problems: list[Problem], losses: list[Loss]
) -> Pin | None:
    place = owner.to_text()
    if record.usage in (_DANE_TA, _DANE_EE):
        losses.append(
            Loss(
                kind=LossKind.CHAIN,
                effect=Effect.REFUSES,
                place=place,
                consequence="DANE asks for no public CA here; the policy does",
                subject=".".join(place.split(".")[2:-1]).replace(".", "-"),
            )
        )
    if record.mtype != _SHA256 or record.selector >= len(_ALGORITHMS):
        losses.append(
            Loss(
                kind=LossKind.CERTIFICATE_PINS,
                effect=Effect.REFUSES,
                place=place,
                consequence="a record that is no SHA-256 of a key or certificate is not imported",
                subject=".".join(place.split(".")[2:-1]).replace(".", "-"),
            )
        )
        return None
    try:
        return Pin(_ALGORITHMS[record.selector], bytes(record.cert))
    except HoldfastError as error:
        problems.append(Problem.of(place, error, "take the digest again"))
        return None


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write records between the marks of a zone file, as `Format.write` says."""
    lines = [
        f"{'.'.join(_PORT)}.{entry.host}. {_TTL} IN TLSA {usage} {_selector(pin)} {_SHA256} "
        f"{pin.digest.hex()}"
        for rule in rules
        for entry in rule.hosts
        for usage, pins in ((_PKIX_EE, rule.leaf), (_PKIX_TA, rule.ca))
        for pin in pins
    ]
    return put_between_marks(lines, present, comment=";")


def _selector(pin: Pin) -> int:
    return _ALGORITHMS.index(pin.algorithm)


def _is_zone(_file_name: str, data: bytes) -> bool:
    return b" TLSA " in data.replace(b"\t", b" ")


FORMAT = Format(name="tlsa", semantics=SEMANTICS, recognizes=_is_zone, scan=scan, write=write)
