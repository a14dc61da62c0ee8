import sys

import pytest

from holdfast.errors import HoldfastError, PolicyError
from holdfast.formats.registry import NAMES, format_named, format_of


@pytest.mark.parametrize("name", NAMES)
def test_each_format_knows_its_name(name: str) -> None:
    """And describes how its platform understands it."""
    found = format_named(name)

    assert name == found.name
    assert found.semantics.title


def test_a_file_is_recognized_by_what_is_in_it() -> None:
    """What nobody recognizes has to be named."""
    assert "android" == format_of("res/x.xml", b"<network-security-config/>").name
    with pytest.raises(HoldfastError, match="--from"):
        format_of("notes.txt", b"hello")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format that there is not, or the library of one."""
    with pytest.raises(HoldfastError, match="android"):
        format_named("windows")
    monkeypatch.delitem(sys.modules, "holdfast.formats.android", raising=False)
    monkeypatch.delitem(sys.modules, "holdfast.formats.xml_text", raising=False)
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(HoldfastError, match=r"holdfast\[platforms\]"):
        format_named("android")


@pytest.mark.parametrize(
    ("name", "text", "times"),
    [
        ("okhttp", ".add(", 60_000),
        ("okhttp", "/*", 60_000),
        ("okhttp", '\\"', 60_000),
        ("okhttp", '.add("a.test", "x")\n', 10_000),
        ("hpkp", "\n", 200_000),
        ("hpkp", "public-key-pins: " + " " * 200_000 + "!", 1),
        ("hpkp", "public-key-pins: " + "a" * 200_000 + "!", 1),
        ("hpkp", "public-key-pins: " + 'a="' * 100_001, 1),
        ("curl", "pinnedpubkey = a" + " " * 200_000 + "b", 1),
        ("postfix", "a fingerprint\n" + " match=x\n" * 20_000, 1),
        ("android", "<network-security-config>" + "<domain-config/>" * 20_000, 1),
        ("wultra", "[", 100_000),
        (
            "envoy",
            "a0: &a0 {validation_context: {}}\n"
            + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 40)),
            1,
        ),
        ("envoy", "a: &a [*a]\n", 1),
        ("tlsa", "$GENERATE 1-1000000000 _443._tcp.a$ TLSA 1 1 1 00\n", 1),
    ],
)
def test_hostile_text_ends(name: str, text: str, times: int) -> None:
    """With mistakes told or not, and long before the limit on a test's time."""
    try:
        rules = format_named(name).scan((text * times).encode()).rules
    except PolicyError:
        rules = ()

    assert all(not rule.pins for rule in rules)
