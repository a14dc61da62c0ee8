"""TrustKit for Android: the platform's configuration with `<trustkit-config>` in it.

TrustKit keeps the last `<domain>` of a `<domain-config>` only, so that each host gets one of its
own. The file is the platform's too: what does not go through TrustKit is enforced by Android,
report-only or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lxml import etree

from holdfast.errors import Mistake, Problem
from holdfast.formats.android_reading import ROOT, hosts_in, name_of, pinned_in
from holdfast.formats.android_writing import append, put_rules
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Expiry, Kinds, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.xml_text import elements, parse, place_of, serialize

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="TrustKit for Android",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    expiry=Expiry.LOCAL_DAY,
    report_only=True,
    addresses=False,
    one_entry_a_host=True,
    minimum=2,
    shipped=True,
)
_CONFIG, _ENFORCE, _NO_DEFAULT = "trustkit-config", "enforcePinning", "disableDefaultReportUri"


def scan(data: bytes) -> Reading:
    """Read a configuration.

    Raises:
        PolicyError: It is no such file.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    seen: dict[str, etree._Element] = {}
    none = Rule(name="", hosts=(), enforced=False)
    rules = tuple(_rules_in(parse(data, ROOT), none, seen, problems, losses))
    return Reading(rules, tuple(losses), tuple(problems))


def _rules_in(
    parent: etree._Element,
    inherited: Rule,
    seen: dict[str, etree._Element],
    problems: list[Problem],
    losses: list[Loss],
) -> Iterator[Rule]:
    for config in elements(parent, "domain-config"):
        pinned = pinned_in(config, problems, losses) or inherited
        rule = replace(pinned, enforced=_is_enforced(config, inherited, losses))
        hosts = tuple(hosts_in(config, seen, problems, losses))
        if rule.anywhere and hosts:
            losses += [_of_dropped(config, host.host) for host in hosts[:-1]]
            if rule.enforced and len(rule.anywhere) < SEMANTICS.minimum:
                message, fix = "TrustKit wants two distinct pins", "add a backup pin"
                problems.append(Problem(place_of(config), message, fix, Mistake.ONE_PIN))
            yield replace(rule, name=name_of(config, hosts), hosts=hosts[-1:], exempt=False)
        elif rule.exempt and rule.enforced:
            message, fix = "the pin-set is empty", "add pins, or remove it"
            problems.append(Problem(place_of(config), message, fix))
        yield from _rules_in(config, rule, seen, problems, losses)


def _is_enforced(config: etree._Element, inherited: Rule, losses: list[Loss]) -> bool:
    for settings in elements(config, _CONFIG):
        addresses = elements(settings, "report-uri")
        losses += [_of_reports(one, (one.text or "").strip()) for one in addresses]
        if not addresses and settings.get(_NO_DEFAULT) != "true":
            losses.append(_of_reports(settings, None))
        return settings.get(_ENFORCE, "false") == "true"
    return inherited.enforced


def _of_reports(element: etree._Element, address: str | None) -> Loss:
    return Loss(
        kind=LossKind.REPORTS,
        effect=Effect.NEITHER,
        place=place_of(element),
        consequence="reports go to other addresses, or to nobody",
        stated=address,
    )


def _of_dropped(config: etree._Element, host: str) -> Loss:
    return Loss(
        kind=LossKind.DROPPED_HOST,
        effect=Effect.NEITHER,
        place=place_of(config),
        consequence=f"{host} is not pinned by TrustKit, which keeps the last <domain> only; it is "
        "left out",
        stated=host,
    )


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules into a configuration, as `Format.write` says."""
    root = parse(present, ROOT) if present is not None else etree.Element(ROOT)
    single = [
        rule if len(rule.hosts) == 1 else replace(rule, hosts=(host,))
        for rule in rules
        for host in rule.hosts
    ]
    for config, rule in put_rules(root, single):
        settings = elements(config, _CONFIG)
        if not settings:
            settings = [etree.Element(_CONFIG, {_NO_DEFAULT: "true"})]
            append(config, settings[0], after=elements(config, "pin-set")[0])
        settings[0].set(_ENFORCE, "true" if rule.enforced else "false")
    return serialize(root, present)


def _is_trustkit(_file_name: str, data: bytes) -> bool:
    return b"<network-security-config" in data and b"<trustkit-config" in data


FORMAT = Format(
    name="trustkit-android", semantics=SEMANTICS, recognizes=_is_trustkit, scan=scan, write=write
)
