"""Rules written into Android's configuration, beside what else it holds.

Only `<pin-set>` of the hosts at hand is replaced. A comment marks what came from a policy, so that
it can be taken back once the policy drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

from lxml import etree

from holdfast.errors import HoldfastError
from holdfast.formats.android_reading import MARK, ROOT, mark_of, marks_of
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.xml_text import elements, parse, serialize
from holdfast.pins.host_pattern import canonical_host

__all__ = ["append", "put_rules", "write"]

_INDENT = "    "  # in a new file; elsewhere as the file has it


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules into a configuration.

    Args:
        rules: What it is to say of their hosts.
        present: What the file holds; None for a new one.

    Raises:
        PolicyError: What it holds is no such file.
    """
    root = parse(present, ROOT) if present is not None else etree.Element(ROOT)
    put_rules(root, rules)
    return serialize(root, present)


def put_rules(root: etree._Element, rules: Sequence[Rule]) -> list[tuple[etree._Element, Rule]]:
    """Let a configuration say what some rules say.

    Returns:
        The `<domain-config>`s, and for each what of a rule it is for.
    """
    domains = _Domains(root)
    placed = [place for rule in rules for place in _places_for(root, domains, rule)]
    ours = {config for config, _ in placed}
    for config in list(root.iter("domain-config")):
        if config not in ours and mark_of(config) is not None:
            _take_back(config)
    for config, rule in placed:
        _put(config, rule)
    return placed


class _Domains:
    """The `<domain>`s of a file, and where they are: looked at once, however many hosts move."""

    def __init__(self, root: etree._Element) -> None:
        self._configs: dict[str, etree._Element] = {}
        self._within: dict[etree._Element, dict[str | None, list[etree._Element]]] = {}
        self._settings: dict[etree._Element, list[etree._Element]] = {}
        for domain in root.iter("domain"):
            config, host = domain.getparent(), _host_of(domain)
            if config is None:
                continue
            self._within.setdefault(config, {}).setdefault(host, []).append(domain)
            if host is not None:
                self._configs[host] = config

    def config_of(self, host: str) -> etree._Element | None:
        """Return what a host stands in."""
        return self._configs.get(host)

    def has_only(self, config: etree._Element, hosts: Iterable[str]) -> bool:
        """Tell whether a `<domain-config>` is for these hosts and no other."""
        return set(hosts) == self._within[config].keys()

    def move(self, hosts: Iterable[str], source: etree._Element, config: etree._Element) -> None:
        """Take hosts out of a `<domain-config>`, and give another what they had beside pins."""
        config.attrib.update(source.attrib)
        config.extend(map(deepcopy, self._settings_of(source)))
        for host in hosts:
            for domain in self._within[source].pop(host, ()):
                _remove(domain)

    def _settings_of(self, config: etree._Element) -> list[etree._Element]:
        if config not in self._settings:
            others = ("domain", "pin-set", "domain-config")
            self._settings[config] = [
                child for child in config.iterchildren("*") if child.tag not in others
            ]
        return self._settings[config]


def _places_for(
    root: etree._Element, domains: _Domains, rule: Rule
) -> Iterator[tuple[etree._Element, Rule]]:
    """Yield `<domain-config>`s for the hosts of a rule, and for those that have each.

    What else the file says of a host stays true of it, and of no other: hosts that share a
    `<domain-config>` with strangers get a copy of it.
    """
    groups: dict[etree._Element | None, list[PlatformHost]] = {}
    for entry in rule.hosts:
        groups.setdefault(domains.config_of(entry.host), []).append(entry)
    for present, entries in groups.items():
        part = rule if len(groups) == 1 else replace(rule, hosts=tuple(entries))
        yield _config_for(root, present, [entry.host for entry in entries], domains), part


def _config_for(
    root: etree._Element, present: etree._Element | None, hosts: list[str], domains: _Domains
) -> etree._Element:
    """Return a `<domain-config>` for some hosts alone, which are all in the present one, if any."""
    if present is not None and domains.has_only(present, hosts):
        return present
    config = etree.Element("domain-config")
    for host in hosts:
        etree.SubElement(config, "domain").text = host
    parent = None if present is None else present.getparent()
    if present is None or parent is None:
        append(root, config)
        return config
    domains.move(hosts, present, config)
    append(parent, config, after=present)
    return config


def _host_of(domain: etree._Element) -> str | None:
    try:
        return canonical_host((domain.text or "").strip())
    except HoldfastError:
        return None


def _put(config: etree._Element, rule: Rule) -> None:
    """Let a `<domain-config>` say what a rule says, and nothing else of pins."""
    by_host = {entry.host: entry for entry in rule.hosts}
    for domain in elements(config, "domain"):
        below = by_host[_host_of(domain) or ""].kinds is Kinds.ANY_DEPTH
        if below or domain.get("includeSubdomains") is not None:
            domain.set("includeSubdomains", "true" if below else "false")
    new = _pin_set_of(rule)
    olds = elements(config, "pin-set")
    if olds and _is_same(olds[0], new) and len(olds) == 1:
        new = olds[0]  # comments in it stay
    elif olds:
        new.tail = olds[0].tail
        etree.indent(new, _unit_in(config), level=_depth(config) + 1)
        config.replace(olds[0], new)
    else:
        etree.indent(new, _unit_in(config), level=_depth(config) + 1)
        append(config, new, after=elements(config, "domain")[-1])
    for comment in marks_of(config):
        _remove(comment)
    mark = etree.Comment(f" {MARK}{rule.name} ")
    mark.tail = "\n" + _unit_in(config) * (_depth(config) + 1)
    new.addprevious(mark)


def _pin_set_of(rule: Rule) -> etree._Element:
    pin_set = etree.Element("pin-set")
    if rule.expires is not None:
        pin_set.set("expiration", rule.expires.isoformat())
    for pin in rule.pins:
        element = etree.SubElement(pin_set, "pin", digest="SHA-256")
        element.text = str(pin).removeprefix("sha256/")
    return pin_set


def _is_same(one: etree._Element, other: etree._Element) -> bool:
    def said(pin_set: etree._Element) -> tuple[str | None, list[str]]:
        pins = [(pin.text or "").strip() for pin in elements(pin_set, "pin")]
        return pin_set.get("expiration"), pins

    return said(one) == said(other)


def _take_back(config: etree._Element) -> None:
    """Remove the pins of a `<domain-config>` that a policy no longer has."""
    for child in (*elements(config, "pin-set"), *marks_of(config)):
        _remove(child)
    has_more = any(child.tag != "domain" for child in config) or config.attrib
    if not has_more:
        _remove(config)


def append(
    parent: etree._Element, child: etree._Element, after: etree._Element | None = None
) -> None:
    """Add an element in the indentation of its neighbors."""
    unit, level = _unit_in(parent), _depth(parent) + 1
    etree.indent(child, unit, level=level)
    if after is None:
        after = next(parent.iterchildren(reversed=True), None)  # len() counts: it is linear
    if after is None:
        parent.text = "\n" + unit * level
        child.tail = "\n" + unit * (level - 1)
        parent.append(child)
        return
    child.tail = after.tail
    after.tail = "\n" + unit * level
    after.addnext(child)


def _unit_in(element: etree._Element) -> str:
    """Return the white space of one level, as the file has it."""
    text = element.getroottree().getroot().text or ""
    unit = text.rpartition("\n")[2]
    return unit if unit and not unit.strip() else _INDENT


def _remove(element: etree._Element) -> None:
    """Remove an element and the white space before it."""
    parent = element.getparent()
    if parent is None:
        return
    previous = element.getprevious()
    tail = element.tail
    parent.remove(element)
    if previous is not None:
        if element.getnext() is None and tail is not None and parent[-1] is previous:
            previous.tail = tail
    elif next(parent.iterchildren(), None) is None:
        parent.text = None
    elif tail is not None:
        parent.text = tail


def _depth(element: etree._Element) -> int:
    return sum(1 for _ in element.iterancestors())
