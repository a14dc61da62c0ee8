"""What other pinning systems answer, asked of our account of each: their files and their hosts.

Every case of the kinds named here is run; which host a pattern covers, as each platform has it, and
what Android and Apple take for a configuration.
"""

from __future__ import annotations

import plistlib
from collections.abc import Callable

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.decide import decide, rules_for, seen_by
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.formats.registry import format_named
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin import Pin
from tests.conformance.test_cases import CASES, NOW, Case, certificate

pytestmark = pytest.mark.skipif(not CASES, reason="no outside cases here")

PIN, OTHER = Pin.of_spki(b"A"), Pin.of_spki(b"B")
TEXT = str(PIN).removeprefix("sha256/")
PATH = VerifiedChain((certificate("X"),))

# Column -> the format, and the entry that it means.
COLUMNS = {
    "okhttp exact example.com": ("okhttp", Kinds.APEX),
    "okhttp *.example.com": ("okhttp", Kinds.ONE_BELOW),
    "okhttp **.example.com": ("okhttp", Kinds.ANY_DEPTH),
    "apache exact": ("apache", Kinds.APEX),
    "apache *.example.com": ("apache", Kinds.ONE_BELOW),
    "android-nsc": ("android", Kinds.APEX),
    "android-nsc +sub": ("android", Kinds.ANY_DEPTH),
    "chromium +sub": ("chromium", Kinds.ANY_DEPTH),
    "trustkit-android +sub": ("trustkit-android", Kinds.ANY_DEPTH),
}


def _of_kind(kind: str) -> list[Case]:
    return [case for case in CASES if case.kind == kind]


@pytest.mark.parametrize("case", _of_kind("host-matrix"), ids=lambda case: str(case.input))
def test_which_hosts_an_entry_covers(case: Case) -> None:
    """Platform by platform, with trailing dots and what only looks alike."""
    host = case.input["host"]
    assert COLUMNS.keys() == case.expected.keys()
    for column, expected in case.expected.items():
        name, kinds = COLUMNS[column]
        semantics = format_named(name).semantics
        rule = Rule(name="r", hosts=(PlatformHost("example.com", kinds),), anywhere=(PIN,))
        found = rules_for([rule], semantics, seen_by(semantics, host))
        if ".." in host:  # no client connects to such a name; ours refuses it
            continue
        assert expected is bool(found), column


def android(inner: str) -> tuple[Rule, ...]:
    """Read what Android is given."""
    text = f"<network-security-config>{inner}</network-security-config>"
    return format_named("android").read(text.encode()).rules


def config(pin_set: str, domain: str = "<domain>a.test</domain>") -> str:
    """Return a `<domain-config>`."""
    return f"<domain-config>{domain}{pin_set}</domain-config>"


def pin_set(text: str = TEXT) -> str:
    """Return a `<pin-set>`."""
    return f'<pin-set><pin digest="SHA-256">{text}</pin></pin-set>'


def is_refused(inner: str) -> bool:
    """Tell whether Android would not start with this."""
    try:
        android(inner)
    except PolicyError:
        return True
    return False


def is_allowed(rules: tuple[Rule, ...], name: str, host: str) -> bool:
    """Tell whether a path without a pin is let through."""
    return decide(rules, format_named(name).semantics, host, PATH, NOW).allowed


SUBTREE = (
    f'<domain-config><domain includeSubdomains="true">a.test</domain>{pin_set()}'
    '<domain-config><domain includeSubdomains="true">b.a.test</domain><pin-set/></domain-config>'
    "</domain-config>"
)
ANDROID: dict[str, Callable[[], bool]] = {
    "31-byte digest": lambda: is_refused(config(pin_set("A" * 42))),
    "bad base64": lambda: is_refused(config(pin_set("?" * 44))),
    "two <pin-set> in one domain-config": lambda: is_refused(config(pin_set() * 2)),
    "same domain twice anywhere (even with different includeSubdomains)": lambda: is_refused(
        config(pin_set()) + config("", '<domain includeSubdomains="true">A.test</domain>')
    ),
    "unknown elements": lambda: (
        (PIN,) == android(config(f"<unknown><x/></unknown>{pin_set()}"))[0].anywhere
    ),
    "empty pin-set in nested domain-config": lambda: (
        is_allowed(android(SUBTREE), "android", "x.b.a.test")
        and not is_allowed(android(SUBTREE), "android", "x.a.test")
    ),
    "wildcard <domain>*.example.com</domain>": lambda: is_allowed(
        android(config(pin_set(), "<domain>*.example.com</domain>")), "android", "a.example.com"
    ),
}


@pytest.mark.parametrize("case", _of_kind("format-android-nsc"), ids=lambda case: str(case.input))
def test_what_android_takes(case: Case) -> None:
    """As `XmlConfigSource` does."""
    assert ANDROID[case.input]()


def apple(domains: object) -> tuple[Rule, ...]:
    """Read what Apple is given."""
    value = {"NSAppTransportSecurity": {"NSPinnedDomains": domains}}
    return format_named("apple").read(plistlib.dumps(value)).rules


def apple_refuses(domain: str) -> bool:
    """Tell whether a domain is no key of the list."""
    try:
        apple({domain: {"NSPinnedLeafIdentities": [{"SPKI-SHA256-BASE64": TEXT}]}})
    except PolicyError:
        return True
    return False


def both_lists() -> bool:
    """Tell whether a leaf pin alone is not enough where there is a CA list."""
    (rule,) = apple(
        {
            "a.test": {
                "NSPinnedLeafIdentities": [{"SPKI-SHA256-BASE64": TEXT}],
                "NSPinnedCAIdentities": [
                    {"SPKI-SHA256-BASE64": str(OTHER).removeprefix("sha256/")}
                ],
            }
        }
    )
    semantics = format_named("apple").semantics
    leaf_alone = VerifiedChain((certificate("A"), certificate("X")))
    both = VerifiedChain((certificate("A"), certificate("B")))
    return (
        not decide([rule], semantics, "a.test", leaf_alone, NOW).allowed
        and decide([rule], semantics, "a.test", both, NOW).allowed
    )


def only_one_label() -> bool:
    """Tell whether a host two labels below is not pinned."""
    entry = {
        "NSIncludesSubdomains": True,
        "NSPinnedLeafIdentities": [{"SPKI-SHA256-BASE64": TEXT}],
    }
    rules = apple({"example.com": entry})
    return is_allowed(rules, "apple", "advanced.math.example.com") and not is_allowed(
        rules, "apple", "math.example.com"
    )


def neither_list() -> bool:
    """Tell whether a domain without pins is refused."""
    try:
        apple({"a.test": {}})
    except PolicyError:
        return True
    return False


APPLE: dict[str, Callable[[], bool]] = {
    "leaf list and CA list both present": both_lists,
    "neither list present": neither_list,
}


@pytest.mark.parametrize("case", _of_kind("format-apple"), ids=lambda case: str(case.input))
def test_what_apple_takes(case: Case) -> None:
    """As its documentation has it."""
    if isinstance(case.input, str):
        assert APPLE[case.input]()
    elif case.input.get("sub"):
        assert only_one_label()
    else:
        assert apple_refuses(case.input["domain"])


def test_chromium_carves_out_the_hosts_below_an_entry_without_subdomains() -> None:
    """Case PKPSubdomainCarveout: they are not pinned, although a wider entry covers them."""
    rules = (
        Rule(name="w", hosts=(PlatformHost("example.test", Kinds.ANY_DEPTH),), anywhere=(PIN,)),
        Rule(name="n", hosts=(PlatformHost("foo.example.test"),), anywhere=(PIN,)),
    )

    assert is_allowed(rules, "chromium", "bar.foo.example.test")
    assert not is_allowed(rules, "chromium", "bar.example.test")
    assert not is_allowed(rules, "chromium", "foo.example.test")
