"""Android's network security configuration (`res/xml/network_security_config.xml`).

What it means is taken from `XmlConfigSource.java` of the platform: a host follows the longest
`<domain>` that covers it; after the day of `expiration` begins (on the device's clock) nothing is
pinned; pins are inherited from the `<domain-config>` around, and an empty `<pin-set/>` switches
them off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import Problem
from holdfast.formats.android_reading import ROOT, hosts_in, name_of, pinned_in
from holdfast.formats.android_writing import write
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Expiry, Kinds, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.xml_text import elements, parse, place_of

if TYPE_CHECKING:
    from lxml import etree

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Android",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    expiry=Expiry.LOCAL_DAY,
    exemptions=(Kinds.APEX, Kinds.ANY_DEPTH),
    one_entry_a_host=True,
    drops_dot=True,
    shipped=True,
)


def scan(data: bytes) -> Reading:
    """Read a configuration.

    Raises:
        PolicyError: It is no such file.
    """
    root = parse(data, ROOT)
    problems: list[Problem] = []
    losses: list[Loss] = []
    seen: dict[str, etree._Element] = {}
    rules = _together(_rules_in(root, None, seen, problems, losses))
    losses += _beside(root)
    return Reading(rules, tuple(losses), tuple(problems))


def _rules_in(
    parent: etree._Element,
    inherited: Rule | None,
    seen: dict[str, etree._Element],
    problems: list[Problem],
    losses: list[Loss],
) -> Iterator[Rule]:
    for config in elements(parent, "domain-config"):
        pinned = pinned_in(config, problems, losses) or inherited
        hosts = tuple(hosts_in(config, seen, problems, losses))
        if hosts:
            rule = pinned or Rule(name="", hosts=(), exempt=True)
            yield replace(rule, name=name_of(config, hosts), hosts=hosts)
        yield from _rules_in(config, pinned, seen, problems, losses)


def _together(rules: Iterator[Rule]) -> tuple[Rule, ...]:
    """Join what was one rule, and stands apart since its hosts have other settings beside pins."""
    joined: dict[Rule, tuple[PlatformHost, ...]] = {}
    for rule in rules:
        bare = replace(rule, hosts=())
        joined[bare] = joined.get(bare, ()) + rule.hosts
    return tuple(replace(bare, hosts=hosts) for bare, hosts in joined.items())


def _beside(root: etree._Element) -> Iterator[Loss]:
    """Tell of what lets a connection through whatever the pins say."""
    for certificates in root.iter("certificates"):
        parent = certificates.getparent()
        above = None if parent is None else parent.getparent()
        is_debug = above is not None and above.tag == "debug-overrides"
        if is_debug:
            yield Loss(
                kind=LossKind.ANCHORS,
                effect=Effect.NEITHER,
                place=place_of(certificates),
                consequence="builds that can be debugged trust these anchors whatever the pins say",
            )
        elif certificates.get("overridePins") == "true":
            yield Loss(
                kind=LossKind.ANCHORS,
                effect=Effect.REFUSES,
                place=place_of(certificates),
                consequence="on Android a path to these anchors needs no pin; here it does",
            )


def _is_android(file_name: str, data: bytes) -> bool:
    return file_name.endswith(".xml") and b"<network-security-config" in data[:65536]


FORMAT = Format(name="android", semantics=SEMANTICS, recognizes=_is_android, scan=scan, write=write)
