"""TrustKit for iOS and macOS: `TSKConfiguration` in `Info.plist`.

The longest domain counts, an exact one first; hosts are compared as they are written. After the day
of `TSKExpirationDate` begins in UTC nothing is pinned or reported. The constant
`TSKExcludeSubdomainFromParentPolicy` has the value `kSKExcludeSubdomainFromParentPolicy`, a slip of
its makers: a property list needs that text.

`HoldfastTSKPinnedDomains` beside it names what came from a policy, so that it can be taken back; it
is not that of Apple, whose domains may stand in the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from holdfast.errors import Mistake, PolicyError, Problem
from holdfast.formats.dictionaries import flag_in, host_of, pins_in, table_in, texts_in
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Expiry, Kinds, PlatformHost, Rule, Semantics
from holdfast.formats.plist_text import parse, put_own, serialize
from holdfast.formats.registry import Format, Reading

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="TrustKit for iOS",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    expiry=Expiry.UTC_DAY,
    report_only=True,
    exemptions=(Kinds.APEX,),
    addresses=False,
    one_entry_a_host=True,
    minimum=2,
    folds_case=False,
    shipped=True,
)
_ROOT, _DOMAINS = "TSKConfiguration", "TSKPinnedDomains"
_PINS, _ENFORCE, _BELOW = "TSKPublicKeyHashes", "TSKEnforcePinning", "TSKIncludeSubdomains"
_EXPIRES, _EXEMPT = "TSKExpirationDate", "kSKExcludeSubdomainFromParentPolicy"
_NO_DEFAULT, _REPORTS = "TSKDisableDefaultReportUri", "TSKReportUris"
_EXEMPT_AS_MEANT = "TSKExcludeSubdomainFromParentPolicy"
_SWIZZLE = "TSKSwizzleNetworkDelegates"
_MARK = f"Holdfast{_DOMAINS}"  # the key that names what came from a policy


def scan(data: bytes) -> Reading:
    """Read a property list with TrustKit's settings.

    Raises:
        PolicyError: It is none.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    configuration = table_in(parse(data), _ROOT, "", problems)
    domains = table_in(configuration, _DOMAINS, _ROOT, problems)
    rules = tuple(_rules_in(domains, problems, losses))
    _check_exemptions(rules, problems)
    return Reading(rules, tuple(losses), tuple(problems))


def _rules_in(
    domains: Mapping[str, Any], problems: list[Problem], losses: list[Loss]
) -> Iterator[Rule]:
    for name in domains:
        place = f"{_DOMAINS}.{name}"
        entry = table_in(domains, name, _DOMAINS, problems)
        host = host_of(name, place, problems)
        if _EXEMPT_AS_MEANT in entry:
            fix = f"write {_EXEMPT}: that is the text which the constant stands for"
            there, message = f"{place}.{_EXEMPT_AS_MEANT}", "TrustKit does not know it"
            problems.append(Problem(there, message, fix, Mistake.MISSPELT_KEY))
        exempt = flag_in(entry, _EXEMPT, place, problems, default=False)
        enforced = flag_in(entry, _ENFORCE, place, problems, default=True)
        below = flag_in(entry, _BELOW, place, problems, default=False)
        texts = texts_in(entry, _PINS, place, problems)
        pins = pins_in(texts, f"{place}.{_PINS}", problems, losses)
        expires = _expiry(entry, place, problems)
        if exempt and len(entry) > 1:
            fix = "remove the other keys of the domain"
            problems.append(Problem(place, f"{_EXEMPT} stands alone", fix))
        elif (
            not exempt
            and _EXEMPT_AS_MEANT not in entry
            and len(pins) < (SEMANTICS.minimum if enforced else 1)
        ):
            there, message = f"{place}.{_PINS}", "TrustKit wants more distinct pins"
            problems.append(Problem(there, message, "add a backup pin", Mistake.ONE_PIN))
        addresses = texts_in(entry, _REPORTS, place, problems)
        losses += [_of_reports(f"{place}.{_REPORTS}", name, address) for address in addresses]
        if not addresses and not entry.get(_NO_DEFAULT, exempt):
            losses.append(_of_reports(place, name, None))
        if host is not None:
            yield Rule(
                name=host.replace(".", "-"),
                hosts=(PlatformHost(host, Kinds.ANY_DEPTH if below else Kinds.APEX),),
                anywhere=pins,
                enforced=enforced,
                expires=expires,
                exempt=exempt,
                place=place,
            )


def _expiry(entry: Mapping[str, Any], place: str, problems: list[Problem]) -> date | None:
    text = entry.get(_EXPIRES)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        problems.append(Problem(f"{place}.{_EXPIRES}", "this is no date", "write it as 2027-01-31"))
        return None


def _of_reports(place: str, name: str, address: str | None) -> Loss:
    return Loss(
        kind=LossKind.REPORTS,
        effect=Effect.NEITHER,
        place=place,
        consequence=f"reports about {name} go to other addresses, or to nobody",
        subject=name.replace(".", "-"),
        stated=address,
    )


def _check_exemptions(rules: Sequence[Rule], problems: list[Problem]) -> None:
    for rule in rules:
        host = rule.hosts[0].host
        if rule.exempt and not any(
            entry.host != host and entry.covers(host) for other in rules for entry in other.hosts
        ):
            fix = "remove it: no domain above it includes its subdomains"
            problems.append(Problem(f"{_DOMAINS}.{host}", f"{_EXEMPT} has no parent", fix))


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules into a property list, as `Format.write` says."""
    said = {} if present is None else parse(present)
    value = dict(said)
    problems: list[Problem] = []
    former = value.pop(_MARK, [])
    configuration = dict(table_in(value, _ROOT, "", problems))
    domains = dict(table_in(configuration, _DOMAINS, _ROOT, problems))
    entries: dict[str, Any] = {}
    for rule in rules:
        for host in rule.hosts:
            kept = table_in(domains, host.host, _DOMAINS, problems)
            entries[host.host] = _entry(rule, host, kept)
    if problems:
        raise PolicyError(problems)
    put_own(domains, former, entries)
    if domains:
        configuration.setdefault(_SWIZZLE, False)
        configuration[_DOMAINS] = domains
        value[_ROOT] = configuration
    else:
        _check_rest(configuration)
        value.pop(_ROOT, None)
    if entries:
        value[_MARK] = sorted(entries)
    return serialize(value, present, said)


def _check_rest(configuration: Mapping[str, Any]) -> None:
    """Refuse to leave settings behind that pin nothing: TrustKit ends an app that has such.

    Raises:
        PolicyError: There are some.
    """
    if others := sorted(configuration.keys() - {_DOMAINS, _SWIZZLE}):
        fix = f"remove {_ROOT} from the file, or pin a domain"
        message = f"{', '.join(others)} would stand without a pinned domain"
        raise PolicyError([Problem(_ROOT, message, fix)])


def _entry(rule: Rule, host: PlatformHost, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a domain has; its addresses for reports stay."""
    if rule.exempt:
        return {_EXEMPT: True}
    entry: dict[str, Any] = {
        _PINS: [str(pin).removeprefix("sha256/") for pin in rule.pins],
        _ENFORCE: rule.enforced,
        _BELOW: host.kinds is not Kinds.APEX,
        _NO_DEFAULT: kept.get(_NO_DEFAULT, True),
    }
    if rule.expires is not None:
        entry[_EXPIRES] = rule.expires.isoformat()
    if _REPORTS in kept:
        entry[_REPORTS] = kept[_REPORTS]
    return entry


def _is_trustkit(_file_name: str, data: bytes) -> bool:
    return b"TSKPinnedDomains" in data


FORMAT = Format(
    name="trustkit-ios", semantics=SEMANTICS, recognizes=_is_trustkit, scan=scan, write=write
)
