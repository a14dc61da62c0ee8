"""Android's network security configuration (`res/xml/network_security_config.xml`).

What it means is taken from `XmlConfigSource.java` of the platform: a host follows the longest
`<domain>` that covers it; after the day of `expiration` begins (on the device's clock) nothing is
pinned; pins are inherited from the `<domain-config>` around, and an empty `<pin-set/>` switches
them off.

In a file that holds other settings, only `<pin-set>` of the domains at hand is replaced. A comment
marks what came from a policy, so that it can be taken back once the policy drops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import date

from lxml import etree

from holdfast.errors import HoldfastError, PinFormatError, PolicyError, Problem
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.platform import Expiry, Kinds, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.xml_text import comments, elements, parse, place_of, serialize
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Android",
    entries=(Kinds.APEX, Kinds.ANY_DEPTH),
    expiry=Expiry.LOCAL_DAY,
    exemptions=True,
    one_entry_a_host=True,
    drops_dot=True,
)
_ROOT = "network-security-config"
_MARK = "holdfast: "
_INDENT = "    "  # in a new file; elsewhere as the file has it


# --- Reading --------------------------------------------------------------------------------------


def read(data: bytes) -> Reading:
    """Read a configuration.

    Raises:
        PolicyError: The platform would refuse it, or it is no such file.
    """
    root = parse(data, _ROOT)
    problems: list[Problem] = []
    losses: list[Loss] = []
    seen: dict[str, etree._Element] = {}
    rules = _together(_rules_in(root, None, seen, problems, losses))
    losses += _beside(root)
    if problems:
        raise PolicyError(problems)
    return Reading(rules, tuple(losses))


def _rules_in(
    parent: etree._Element,
    inherited: Rule | None,
    seen: dict[str, etree._Element],
    problems: list[Problem],
    losses: list[Loss],
) -> Iterator[Rule]:
    for config in elements(parent, "domain-config"):
        pinned = _pinned(config, problems) or inherited
        hosts = tuple(_hosts(config, seen, problems, losses))
        if hosts:
            rule = pinned or Rule(name="", hosts=(), exempt=True)
            yield replace(rule, name=_name(config, hosts), hosts=hosts)
        yield from _rules_in(config, pinned, seen, problems, losses)


def _hosts(
    config: etree._Element,
    seen: dict[str, etree._Element],
    problems: list[Problem],
    losses: list[Loss],
) -> Iterator[PlatformHost]:
    for domain in elements(config, "domain"):
        text = (domain.text or "").strip().lower()
        place = place_of(domain)
        if text in seen:
            fix = f"keep it in one place, here or at {place_of(seen[text])}"
            problems.append(Problem(place, f"the domain {text} stands twice", fix))
            continue
        seen[text] = domain
        below = domain.get("includeSubdomains", "false")
        if below not in ("true", "false"):
            fix = "write true or false"
            problems.append(Problem(place, f'includeSubdomains is "{below}"', fix))
        try:
            yield PlatformHost(
                canonical_host(text), Kinds.ANY_DEPTH if below == "true" else Kinds.APEX
            )
        except HoldfastError as error:
            if "*" not in text:
                problems.append(Problem(place, error.message, error.hint or "mend it"))
                continue
            losses.append(
                Loss(
                    kind=LossKind.HOSTS,
                    effect=Effect.NEITHER,
                    place=place,
                    consequence=f"{text} is no wildcard on Android and matches no host; it is left "
                    "out",
                )
            )


def _pinned(config: etree._Element, problems: list[Problem]) -> Rule | None:
    """Return the pins of a `<domain-config>` itself, in a rule without hosts."""
    pin_sets = elements(config, "pin-set")
    if len(pin_sets) > 1:
        fix = "put all pins into one"
        problems.append(Problem(place_of(pin_sets[1]), "there are two <pin-set>", fix))
    if not pin_sets:
        return None
    expires = _expiration(pin_sets[0], problems)
    pins = tuple(dict.fromkeys(_pins(pin_sets[0], problems)))
    return Rule(name="", hosts=(), anywhere=pins, expires=expires, exempt=not pins)


def _pins(pin_set: etree._Element, problems: list[Problem]) -> Iterator[Pin]:
    for element in elements(pin_set, "pin"):
        place = place_of(element)
        digest = element.get("digest")
        if digest != "SHA-256":
            fix = 'write digest="SHA-256"'
            problems.append(Problem(place, f"the digest is {digest}", fix))
            continue
        try:
            yield Pin.parse(f"sha256/{(element.text or '').strip()}")
        except PinFormatError as error:
            problems.append(Problem(place, error.message, error.hint or "take the pin again"))


def _expiration(pin_set: etree._Element, problems: list[Problem]) -> date | None:
    text = pin_set.get("expiration")
    if text is None:
        return None
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:  # other ISO forms are none to Android
            return day
    fix = "write it as 2027-01-31"
    problems.append(Problem(place_of(pin_set), f'expiration is "{text}"', fix))
    return None


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


def _name(config: etree._Element, hosts: Sequence[PlatformHost]) -> str:
    return _mark_of(config) or hosts[0].host.replace(".", "-").replace(":", "-")


def _mark_of(config: etree._Element) -> str | None:
    return next((_marked(comment) for comment in _marks(config)), None)


def _marks(config: etree._Element) -> list[etree._Element]:
    return [one for one in comments(config) if (one.text or "").strip().startswith(_MARK)]


def _marked(comment: etree._Element) -> str:
    return (comment.text or "").strip().removeprefix(_MARK)


def _together(rules: Iterator[Rule]) -> tuple[Rule, ...]:
    """Join what was one rule, and stands apart since its hosts have other settings beside pins."""
    joined: dict[Rule, tuple[PlatformHost, ...]] = {}
    for rule in rules:
        bare = replace(rule, hosts=())
        joined[bare] = joined.get(bare, ()) + rule.hosts
    return tuple(replace(bare, hosts=hosts) for bare, hosts in joined.items())


# --- Writing --------------------------------------------------------------------------------------


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules into a configuration.

    Args:
        rules: What it is to say of their hosts.
        present: What the file holds; None for a new one.

    Raises:
        PolicyError: What it holds is no such file.
    """
    root = parse(present, _ROOT) if present is not None else etree.Element(_ROOT)
    placed = [place for rule in rules for place in _places_for(root, rule)]
    ours = [config for config, _ in placed]
    for config in list(root.iter("domain-config")):
        if config not in ours and _mark_of(config) is not None:
            _take_back(config)
    for config, rule in placed:
        _put(config, rule)
    return serialize(root, present)


def _places_for(root: etree._Element, rule: Rule) -> Iterator[tuple[etree._Element, Rule]]:
    """Yield `<domain-config>`s for the hosts of a rule, and for those that have each.

    What else the file says of a host stays true of it, and of no other: hosts that share a
    `<domain-config>` with strangers get a copy of it.
    """
    domains = {host: one for one in root.iter("domain") if (host := _host_of(one)) is not None}
    groups: dict[etree._Element | None, list[PlatformHost]] = {}
    for entry in rule.hosts:
        around = domains[entry.host].getparent() if entry.host in domains else None
        groups.setdefault(around, []).append(entry)
    for present, entries in groups.items():
        yield (
            _config_for(root, present, [entry.host for entry in entries]),
            replace(rule, hosts=tuple(entries)),
        )


def _config_for(
    root: etree._Element, present: etree._Element | None, hosts: list[str]
) -> etree._Element:
    """Return a `<domain-config>` for some hosts alone, which are all in the present one, if any."""
    if present is not None and set(hosts) == {_host_of(one) for one in elements(present, "domain")}:
        return present
    config = etree.Element("domain-config")
    for host in hosts:
        etree.SubElement(config, "domain").text = host
    parent = None if present is None else present.getparent()
    if present is None or parent is None:
        _append(root, config)
        return config
    _copy_settings(present, config)
    for domain in elements(present, "domain"):
        if _host_of(domain) in hosts:
            _remove(domain)
    _append(parent, config, after=present)
    return config


def _host_of(domain: etree._Element) -> str | None:
    try:
        return canonical_host((domain.text or "").strip())
    except HoldfastError:
        return None


def _copy_settings(source: etree._Element, config: etree._Element) -> None:
    """Give a new `<domain-config>` what its hosts had beside pins."""
    config.attrib.update(source.attrib)
    for child in source.iterchildren("*"):
        if child.tag not in ("domain", "pin-set", "domain-config"):
            config.append(deepcopy(child))


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
        _append(config, new, after=elements(config, "domain")[-1])
    for comment in _marks(config):
        _remove(comment)
    mark = etree.Comment(f" {_MARK}{rule.name} ")
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
    for child in (*elements(config, "pin-set"), *_marks(config)):
        _remove(child)
    has_more = any(child.tag != "domain" for child in config) or config.attrib
    if not has_more:
        _remove(config)


def _append(
    parent: etree._Element, child: etree._Element, after: etree._Element | None = None
) -> None:
    """Add an element in the indentation of its neighbors."""
    unit, level = _unit_in(parent), _depth(parent) + 1
    etree.indent(child, unit, level=level)
    if after is None and len(parent):
        after = parent[-1]
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
    elif not len(parent):
        parent.text = None
    elif tail is not None:
        parent.text = tail


def _depth(element: etree._Element) -> int:
    return sum(1 for _ in element.iterancestors())


def _is_android(file_name: str, data: bytes) -> bool:
    return file_name.endswith(".xml") and b"<network-security-config" in data[:65536]


FORMAT = Format(name="android", semantics=SEMANTICS, recognizes=_is_android, read=read, write=write)
