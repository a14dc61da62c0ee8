from datetime import UTC, date, datetime

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.android import FORMAT
from holdfast.formats.decide import decide
from holdfast.formats.loss import Effect
from holdfast.formats.platform import Kinds, PlatformHost, Rule
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin import Pin
from tests.formats.test_from_policy import LEAVES

PIN, OTHER = Pin.of_spki(b"one"), Pin.of_spki(b"other")
TEXT = str(PIN).removeprefix("sha256/")
PINS = f'<pin-set><pin digest="SHA-256">{TEXT}</pin></pin-set>'
PAY = Rule(
    name="pay",
    hosts=(PlatformHost("api.test"), PlatformHost("pay.test", Kinds.ANY_DEPTH)),
    anywhere=(PIN, OTHER),
    expires=date(2027, 6, 30),
)
PROJECT = b"""\
<?xml version="1.0" encoding="utf-8"?>
<!-- written by hand -->
<network-security-config>
  <base-config cleartextTrafficPermitted="false"/>
  <domain-config cleartextTrafficPermitted="true">
    <domain>10.0.2.2</domain>
    <domain>api.test</domain>
    <trust-anchors><certificates src="system"/></trust-anchors>
  </domain-config>
  <!-- and this -->
  <debug-overrides/>
</network-security-config>
"""


def read(inner: str) -> tuple[Rule, ...]:
    """Read a configuration with this content."""
    return FORMAT.read(config(inner)).rules


def config(inner: str) -> bytes:
    """Return a configuration with this content."""
    return f"<network-security-config>{inner}</network-security-config>".encode()


def write(*rules: Rule, present: bytes | None = None) -> bytes:
    """Write rules."""
    assert FORMAT.write is not None
    return FORMAT.write(rules, present)


def test_what_is_written_is_read_again() -> None:
    """Rules with pins, and hosts that are taken out of them."""
    hole = Rule(name="hole", hosts=(PlatformHost("x.pay.test"),), exempt=True)
    text = write(PAY, hole)

    assert (PAY, hole) == FORMAT.read(text).rules
    assert text == write(PAY, hole, present=text)
    assert b'<domain includeSubdomains="true">pay.test</domain>' in text


def test_what_else_a_file_holds_stays() -> None:
    """Comments, order, settings of the hosts; no host gets the settings of another."""
    text = write(PAY, present=PROJECT)

    assert text.startswith(PROJECT[: PROJECT.index(b"  <domain-config")])
    assert b"\n  <!-- and this -->\n  <debug-overrides/>\n  <domain-config>\n    <domain " in text
    before, ours = text.split(b"</domain-config>")[:2]
    assert b"10.0.2.2" in before
    assert b"api.test" not in before
    assert b'cleartextTrafficPermitted="true"' in ours
    assert b"trust-anchors" in ours
    assert b"pay.test" not in ours
    assert (PAY,) == tuple(one for one in FORMAT.read(text).rules if not one.exempt)


def test_what_a_policy_has_dropped_is_taken_back() -> None:
    """Only where a mark says that it came from one; with other settings, those stay."""
    text = write(PAY, present=PROJECT)
    mine = config(f"<domain-config><domain>my.test</domain>{PINS}</domain-config>")

    assert b"pin-set" not in write(present=text)
    assert b"api.test" in write(present=text)
    assert b"pay.test" not in write(present=text)
    assert mine.strip() == write(present=mine).strip()[-len(mine) :]


def test_pins_are_inherited_and_an_empty_pin_set_switches_them_off() -> None:
    """As `XmlConfigSource` has it."""
    rules = read(
        f"<domain-config>{PINS}<domain>a.test</domain>"
        "<domain-config><domain>b.test</domain></domain-config>"
        "<domain-config><domain>c.test</domain><pin-set/></domain-config></domain-config>"
    )

    assert {"a-test": False, "b-test": False, "c-test": True} == {
        rule.name: rule.exempt for rule in rules
    }
    assert (PIN,) == rules[1].anywhere


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (PINS.replace(TEXT, TEXT[:40]), "pin"),
        (PINS.replace(TEXT, "?" * 44), "pin"),
        (PINS.replace("SHA-256", "sha-256"), "digest"),
        (PINS + PINS, "two <pin-set>"),
        ("<domain>A.test</domain>", "stands twice"),
        ('<domain includeSubdomains="yes">b.test</domain>', "includeSubdomains"),
        ("<domain>b test</domain>", "not a host name"),
        ('<pin-set expiration="2027-6-30"/>', "expiration"),
        ('<pin-set expiration="20270630"/>', "expiration"),
    ],
)
def test_mistakes_are_told_with_their_line(inner: str, message: str) -> None:
    """What the platform refuses when the application starts is refused here."""
    with pytest.raises(PolicyError, match=message) as caught:
        read(f"\n<domain-config><domain>a.test</domain>{inner}</domain-config>")

    assert caught.value.problems[0].place.startswith("line 2, <")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<network-security-config>", "not XML"),
        (b"<resources/>", "root element"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + config("&a;"), "document type"),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>" + config(""), "document type"),
        (config("<a>" * 300), "not XML"),
        (config(" " * (17 * 1024 * 1024)), "more than"),
        (b"\x00", "not XML"),
    ],
)
def test_what_is_no_configuration(data: bytes, message: str) -> None:
    """It ends in an error, at once."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(data)


def test_a_wildcard_matches_nothing() -> None:
    """It is literal text to Android: a loss tells."""
    reading = FORMAT.read(config(f"<domain-config><domain>*.a.test</domain>{PINS}</domain-config>"))

    assert ((), ["host-without-effect"]) == (
        reading.rules,
        [loss.kind.value for loss in reading.losses],
    )


def test_anchors_that_override_pins_are_a_loss() -> None:
    """Here they do not; those of debug builds are a note."""
    anchors = '<trust-anchors><certificates src="user" overridePins="true"/></trust-anchors>'
    reading = FORMAT.read(
        config(f"<base-config>{anchors}</base-config><debug-overrides>{anchors}</debug-overrides>")
    )

    assert [Effect.REFUSES, Effect.NEITHER] == [loss.effect for loss in reading.losses]


def test_hosts_are_looked_up_as_android_does() -> None:
    """Lower case, one trailing dot dropped, the longest domain."""
    rules = read(
        f'<domain-config><domain includeSubdomains="true">android.test</domain>{PINS}'
        "</domain-config>"
    )
    now = datetime(2027, 1, 1, tzinfo=UTC)
    chain = VerifiedChain((LEAVES[0],))

    assert not decide(rules, FORMAT.semantics, "Developer.ANDROID.test.", chain, now).allowed
    assert decide(rules, FORMAT.semantics, "", chain, now).allowed
