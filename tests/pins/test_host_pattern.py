from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HostNameError
from holdfast.pins.host_pattern import (
    HostPattern,
    Reach,
    canonical_host,
    is_ip_literal,
    representatives,
)
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

LABELS = st.text("ab-1_", min_size=1, max_size=3).filter(lambda label: not label[0].isdigit())
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
IP_HOSTS = st.ip_addresses().map(lambda address: canonical_host(str(address)))
PATTERNS = st.one_of(
    st.builds(HostPattern, HOSTS, st.sampled_from(Reach)),
    st.builds(HostPattern, IP_HOSTS, st.just(Reach.EXACT)),
)


def naive_covers(pattern: str, host: str) -> bool:
    """Say the same as `covers`, label by label."""
    wanted, given_labels = pattern.split("."), host.split(".")
    if wanted[0] == "*":
        return wanted[1:] == given_labels[1:]
    if wanted[0] == "**":
        rest = wanted[1:]
        return rest == given_labels[max(0, len(given_labels) - len(rest)) :]
    return wanted == given_labels


@given(PATTERNS)
def test_text_gives_the_pattern_back(pattern: HostPattern) -> None:
    """Parsing the canonical text of a pattern returns an equal pattern."""
    assert pattern == HostPattern.parse(str(pattern))


@given(st.one_of(HOSTS, IP_HOSTS))
def test_a_canonical_host_stays_as_it_is(host: str) -> None:
    """Folding twice is folding once."""
    assert canonical_host(host) == canonical_host(canonical_host(host))


@given(st.text(max_size=40))
def test_any_text_is_a_host_or_a_clear_error(text: str) -> None:
    """Whatever is asked for has one canonical form in ASCII, or is refused with a fix."""
    host, hint = "", None
    try:
        host = canonical_host(text)
    except HostNameError as error:
        hint = error.hint

    assert hint or (host.isascii() and host == canonical_host(host))


@pytest.mark.threat("T18")
@given(PATTERNS, HOSTS)
def test_covers_agrees_with_a_naive_second_implementation(pattern: HostPattern, host: str) -> None:
    """Comparing texts and comparing lists of labels give the same answer."""
    assert naive_covers(str(pattern), host) is pattern.covers(host)


@given(st.lists(PATTERNS, max_size=6, unique=True), HOSTS)
def test_the_look_up_finds_the_most_specific_pattern(
    patterns: list[HostPattern], host: str
) -> None:
    """`pin_set_for` names the set of the covering pattern that sorts first by specificity."""
    pins = Pin.of_spki(b"leaf"), Pin.of_spki(b"backup")
    sets = tuple(
        PinSet(name=f"set-{i}", hosts=(p,), mode=Mode.ENFORCE, leaf=pins[:1], backup=pins[1:])
        for i, p in enumerate(patterns)
    )
    covering = [one for one in sets if naive_covers(str(one.hosts[0]), host)]
    expected = min(covering, key=lambda one: one.hosts[0].specificity, default=None)

    assert expected is Policy(unlisted=Unlisted.ALLOW, pin_sets=sets).pin_set_for(host)


@given(HOSTS)
def test_specificity_is_total_where_it_matters(host: str) -> None:
    """No two of all the patterns that cover one host have the same specificity."""
    labels = host.split(".")
    suffixes = [".".join(labels[start:]) for start in range(len(labels))]
    texts = [host, *(f"*.{suffix}" for suffix in suffixes[1:2]), *(f"**.{s}" for s in suffixes)]
    patterns = [HostPattern.parse(text) for text in texts]

    assert all(pattern.covers(host) for pattern in patterns)
    assert len(patterns) == len({pattern.specificity for pattern in patterns})


def test_specificity_ranks_by_kind_and_length() -> None:
    """An exact host comes first, then the longer suffix, then one label before any depth."""
    ranked = ["a.b.c", "**.a.b.c", "*.b.c", "**.b.c", "*.c", "**.c"]

    assert ranked == sorted(
        itertools.chain(reversed(ranked)), key=lambda text: HostPattern.parse(text).specificity
    )


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("API.Example.COM", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("localhost", "localhost"),
        ("_sip._tcp.example.com", "_sip._tcp.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("\N{ANGSTROM SIGN}.example", "xn--5ca.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:DB8::A", "2001:db8::a"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::FFFF:102:304]", "1.2.3.4"),
        ("0xg", "0xg"),
        ("0x7f.example", "0x7f.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
        (".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abc"),
    ],
)
def test_a_name_takes_its_canonical_form(text: str, host: str) -> None:
    """Case, a trailing dot, U-labels and spellings of an address make no other host."""
    assert host == canonical_host(text)


@pytest.mark.threat("T16")
@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "...", ".example.com", "..example.com", "a..example.com", "example.com..",
        " example.com", "example.com ", "exam ple.com", "example.com\n", "example.com\r\nx",
        "example.com\0", "example.com\0.evil.com", "exa\tmple.com", "example.com%00",
        "%65xample.com",
        "https://example.com", "example.com/", "example.com/path", "user@example.com",
        "example.com:443", "[example.com]", "[1.2.3.4]", "[::1", "::1]", "[[::1]]", "[::1]:443",
        "[::1].", "::1.", "fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%1]", "::ffff:1.2.3", ":::",
        "127.1", "2130706433", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "0x", "017700000001",
        "01.02.03.04", "1.2.3.4.5", "256.1.1.1", "1.2.3.0x4", "example.1", "example.0x1",
        f"{'a' * 64}.example", ".".join(["a" * 49] * 5) + ".abcd", "a" * 100_000,
        "\N{KELVIN SIGN}.example", "ban\N{KELVIN SIGN}.example",
        "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}.example",
        "\N{LATIN SMALL LETTER LONG S}hop.example",
        "example\N{FULLWIDTH FULL STOP}com", "example\N{IDEOGRAPHIC FULL STOP}com",
        "\N{FULLWIDTH DIGIT ONE}.2.3.4", "1.2.3.\N{ARABIC-INDIC DIGIT FOUR}",
        "\N{FULLWIDTH LATIN SMALL LETTER A}.example", "a\N{SOFT HYPHEN}b.example",
        "\N{RIGHT-TO-LEFT OVERRIDE}a.example", "\N{ZERO WIDTH SPACE}a.example", "\ud800.example",
        "☃.example", "é.1", "ü" * 100_000, "*", "*.example.com",
    ],
    ids=lambda text: ascii(text[:30]),
)  # fmt: skip
def test_what_is_not_plainly_a_name_is_refused(text: str) -> None:
    """Neither a look-alike nor another spelling of an address or name is ever 'not pinned'."""
    with pytest.raises(HostNameError) as caught:
        canonical_host(text)

    assert caught.value.hint


def test_a_dotless_i_is_its_own_letter() -> None:
    """A character outside ASCII never becomes one inside it: this name is not `bing.example`."""
    host = canonical_host("b\N{LATIN SMALL LETTER DOTLESS I}ng.example")

    assert host.startswith("xn--")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    """An IPv4-mapped address reaches the IPv4 host, and so has its pins."""
    assert str(address) == canonical_host(f"[::ffff:{address}]")


@pytest.mark.parametrize(
    ("host", "is_address"),
    [("1.2.3.4", True), ("::1", True), ("localhost", False), ("example.com", False), ("a1", False)],
)
def test_addresses_are_told_from_names(host: str, is_address: bool) -> None:
    """A canonical host is an address when it has a colon or ends in a number."""
    assert is_address is is_ip_literal(host)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("*", "unlisted"),
        ("**", "whole first label"),
        ("*.*.example.com", "whole first label"),
        ("a.*.example.com", "whole first label"),
        ("example.*", "whole first label"),
        ("*a.example.com", "whole first label"),
        ("***.example.com", "whole first label"),
        ("*.", "it is empty"),
        ("**.", "it is empty"),
        ("*..example.com", "labels have"),
        ("*.1.2.3.4", "each IP address"),
        ("**.10.0.0.1", "each IP address"),
        ("*.[::1]", "each IP address"),
        ("**.2.3.4", "four decimal numbers"),
        ("*.example.com:443", "without the port"),
        ("\N{FULLWIDTH ASTERISK}.example.com", "xn--"),
    ],
)
def test_other_wildcards_are_refused(text: str, fix: str) -> None:
    """A wildcard is the whole first label, and covers neither everything nor addresses."""
    with pytest.raises(HostNameError) as caught:
        HostPattern.parse(text)

    assert caught.value.hint is not None
    assert fix in caught.value.hint


def test_a_pattern_made_in_code_is_canonical_too() -> None:
    """A pattern cannot hold a host in a form that no connection asks for."""
    assert HostPattern.parse("**.example.com") == HostPattern("Example.COM.", Reach.ANY_DEPTH)
    with pytest.raises(HostNameError):
        HostPattern("10.0.0.1", Reach.ONE_LABEL)
    with pytest.raises(HostNameError):
        HostPattern("*.example.com", Reach.EXACT)


@given(
    st.sets(
        st.builds(HostPattern, st.sampled_from(["a", "b.a", "c.b.a"]), st.sampled_from(Reach)),
        min_size=1,
    ),
    st.sampled_from(["", "x.", "x.y.", "b.", "x.b.", "x.y.b.", "c.b.", "x.c.b.", "x.y.c.b."]),
)
def test_each_covered_host_is_represented(patterns: set[HostPattern], below: str) -> None:
    """A host that some patterns cover has a representative that exactly these patterns cover."""
    host = f"{below}a"
    covering = {one for one in patterns if one.covers(host)}
    candidates = [name for one in patterns for name in representatives(one)]

    assert not covering or covering in [
        {one for one in patterns if one.covers(name)} for name in candidates
    ]
