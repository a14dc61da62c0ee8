"""Apple's pinned domains: `NSPinnedDomains` in `Info.plist`, iOS 14 and macOS 11 or later.

Subdomains are those one label below. A leaf list and a CA list both have to match where there are
both. Which entry counts where two cover a host is not documented.

`HoldfastNSPinnedDomains` beside it names what came from a policy, so that it can be taken back; it
is not that of TrustKit, whose domains may stand in the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.errors import PolicyError, Problem
from holdfast.formats.dictionaries import flag_in, host_of, pins_in, table_in
from holdfast.formats.loss import Loss
from holdfast.formats.platform import Kinds, Overlap, Places, PlatformHost, Rule, Semantics
from holdfast.formats.plist_text import parse, put_own, serialize
from holdfast.formats.registry import Format, Reading

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Apple",
    entries=(Kinds.APEX, Kinds.ONE_LABEL_DOWN),
    overlap=Overlap.UNKNOWN,
    places=Places.BOTH_ROLES,
    addresses=False,
    one_entry_a_host=True,
    shipped=True,
)
_ATS, _DOMAINS = "NSAppTransportSecurity", "NSPinnedDomains"
_BELOW, _LEAF, _CA = "NSIncludesSubdomains", "NSPinnedLeafIdentities", "NSPinnedCAIdentities"
_KEY = "SPKI-SHA256-BASE64"
_MARK = f"Holdfast{_DOMAINS}"  # the key that names what came from a policy


def scan(data: bytes) -> Reading:
    """Read an `Info.plist`.

    Raises:
        PolicyError: It is none.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    transport = table_in(parse(data), _ATS, "", problems)
    domains = table_in(transport, _DOMAINS, _ATS, problems)
    rules = tuple(_rules_in(domains, problems, losses))
    return Reading(rules, tuple(losses), tuple(problems))


def _rules_in(
    domains: Mapping[str, Any], problems: list[Problem], losses: list[Loss]
) -> Iterator[Rule]:
    for name in domains:
        place = f"{_DOMAINS}.{name}"
        entry = table_in(domains, name, _DOMAINS, problems)
        host = host_of(name, place, problems)
        leaf, ca = (
            pins_in(_digests(entry, key, place, problems), f"{place}.{key}", problems, losses)
            for key in (_LEAF, _CA)
        )
        below = flag_in(entry, _BELOW, place, problems, default=False)
        if not entry.get(_LEAF) and not entry.get(_CA):
            fix = f"write {_LEAF} or {_CA}"
            problems.append(Problem(place, "the domain has no pins", fix))
        if host is not None:
            kinds = Kinds.ONE_LABEL_DOWN if below else Kinds.APEX
            yield Rule(
                name=host.replace(".", "-"),
                hosts=(PlatformHost(host, kinds),),
                leaf=leaf,
                ca=ca,
                place=place,
            )


def _digests(
    entry: Mapping[str, Any], key: str, place: str, problems: list[Problem]
) -> tuple[str, ...]:
    listed = entry.get(key, [])
    texts = []
    for index, identity in enumerate(listed if isinstance(listed, list) else [listed]):
        text = identity.get(_KEY) if isinstance(identity, Mapping) else None
        if not isinstance(text, str):
            fix = f"write <dict><key>{_KEY}</key><string>...</string></dict>"
            problems.append(Problem(f"{place}.{key}[{index}]", f"it has no {_KEY}", fix))
            continue
        texts.append(text)
    return tuple(texts)


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules into an `Info.plist`, as `Format.write` says."""
    said = {} if present is None else parse(present)
    value = dict(said)
    problems: list[Problem] = []
    former = value.pop(_MARK, [])
    transport = dict(table_in(value, _ATS, "", problems))
    domains = dict(table_in(transport, _DOMAINS, _ATS, problems))
    if problems:
        raise PolicyError(problems)
    entries = {entry.host: _entry(rule, entry) for rule in rules for entry in rule.hosts}
    put_own(domains, former, entries)
    if domains:
        transport[_DOMAINS] = domains
    else:
        transport.pop(_DOMAINS, None)
    if transport or _ATS in value:
        value[_ATS] = transport
    if entries:
        value[_MARK] = sorted(entries)
    return serialize(value, present, said)


def _entry(rule: Rule, host: PlatformHost) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if host.kinds is not Kinds.APEX:
        entry[_BELOW] = True
    for key, pins in ((_CA, rule.ca), (_LEAF, rule.leaf)):
        if pins:
            entry[key] = [{_KEY: str(pin).removeprefix("sha256/")} for pin in pins]
    return entry


def _is_apple(_file_name: str, data: bytes) -> bool:
    return b"NSPinnedDomains" in data


FORMAT = Format(name="apple", semantics=SEMANTICS, recognizes=_is_apple, scan=scan, write=write)
