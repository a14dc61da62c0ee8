import plistlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.apple import FORMAT as APPLE
from holdfast.formats.decide import rules_for
from holdfast.formats.trustkit_ios import FORMAT
from tests.formats.test_round_trip import FOUR, ONE, PAY, POLICY, TWO, write

TEXTS = [str(pin).removeprefix("sha256/") for pin in (ONE, TWO)]
PINS = {"TSKPublicKeyHashes": TEXTS, "TSKDisableDefaultReportUri": True}
BELOW = {**PINS, "TSKIncludeSubdomains": True}
EXEMPT = {"kSKExcludeSubdomainFromParentPolicy": True}


def plist(domains: object) -> bytes:
    """Return a property list with these pinned domains."""
    return plistlib.dumps({"TSKConfiguration": {"TSKPinnedDomains": domains}})


@pytest.mark.parametrize(
    ("domains", "host", "counts"),
    [
        ({"good.com": BELOW}, "good.com", "good-com"),
        ({"www.good.com": BELOW}, "sub.www.good.com.www.good.com", "www-good-com"),
        ({"good.com": BELOW}, "good.com.otherdomaingood.com", None),
        ({"good.com": BELOW}, "com", None),
        ({"good.com": PINS}, "www.datatheorem.com", None),
        ({"good.com": BELOW, "www.good.com": PINS}, "www.good.com", "www-good-com"),
        ({"good.com": BELOW, "www.good.com": BELOW}, "foo.www.good.com", "www-good-com"),
        ({"good.com": BELOW, "www.good.com": EXEMPT}, "www.good.com", "www-good-com"),
    ],
)
def test_which_domain_counts(domains: object, host: str, counts: str | None) -> None:
    """As TSKPinConfigurationTests has it: the longest, an exact one first."""
    found = rules_for(FORMAT.read(plist(domains)).rules, FORMAT.semantics, host)

    assert [counts] * (counts is not None) == [rule.name for rule in found]


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"good.com": {**PINS, "TSKPublicKeyHashes": TEXTS[:1] * 2}}, "distinct"),
        ({"good.com": {**PINS, "TSKPublicKeyHashes": ["AA"] * 2}}, "pin"),
        ({"good.com": {**PINS, "TSKExpirationDate": "soon"}}, "date"),
        ({"good.com": {**PINS, "TSKExpirationDate": datetime(2027, 1, 1)}}, "date"),  # noqa: DTZ001
        ({"www.good.com": EXEMPT}, "no parent"),
        ({"good.com": BELOW, "www.good.com": {**EXEMPT, **PINS}}, "stands alone"),
        ({"good.com": {**PINS, "TSKExcludeSubdomainFromParentPolicy": True}}, "kSKExclude"),
        ({"10.0.0.1.": PINS}, "matches no host"),
    ],
)
def test_what_trustkit_refuses(domains: object, message: str) -> None:
    """Told with the domain."""
    with pytest.raises(PolicyError, match=message) as caught:
        FORMAT.read(plist(domains))

    assert caught.value.problems[0].place.startswith("TSKPinnedDomains.")


def test_one_pin_is_enough_to_report() -> None:
    """And reports that go elsewhere are a loss."""
    entry = {"TSKPublicKeyHashes": TEXTS[:1], "TSKEnforcePinning": False}
    reading = FORMAT.read(plist({"good.com": entry}))

    assert not reading.rules[0].enforced
    assert ["reports"] == [loss.kind.value for loss in reading.losses]


def test_addresses_for_reports_stay() -> None:
    """And domains that are not ours; ours are taken back."""
    reports = {"TSKReportUris": ["https://r.example"], "TSKDisableDefaultReportUri": False}
    present = plist({"api.example.com": {**PINS, **reports}, "mine.test": PINS})

    text = write(FORMAT, POLICY, present)
    domains = plistlib.loads(text)["TSKConfiguration"]["TSKPinnedDomains"]

    assert reports.items() <= domains["api.example.com"].items()
    assert "2027-06-30" == domains["api.example.com"]["TSKExpirationDate"]
    assert FORMAT.write is not None
    left = plistlib.loads(FORMAT.write((), text))["TSKConfiguration"]["TSKPinnedDomains"]
    assert ["mine.test"] == list(left)
    assert "HoldfastPinnedDomains" not in plistlib.loads(FORMAT.write((), text))
    with pytest.raises(PolicyError, match="no dictionary"):
        write(FORMAT, POLICY, plist("pinned"))


def test_no_domain_is_no_configuration() -> None:
    """TrustKit ends an app whose configuration pins nothing: it goes with its last domain."""
    empty = replace(POLICY, pin_sets=())
    other = {"CFBundleName": "App"}
    present = write(FORMAT, POLICY, plistlib.dumps(other))

    assert "TSKConfiguration" in plistlib.loads(present)
    assert other == plistlib.loads(write(FORMAT, empty, present))
    assert {} == plistlib.loads(write(FORMAT, empty, None))


def test_settings_without_a_domain_are_not_left_behind() -> None:
    """What else somebody has set there is for them to remove."""
    empty = replace(POLICY, pin_sets=())
    present = plistlib.loads(write(FORMAT, POLICY, None))
    present["TSKConfiguration"]["TSKIgnorePinningForUserDefinedTrustAnchors"] = True

    with pytest.raises(PolicyError, match="TSKIgnorePinningForUserDefinedTrustAnchors would stand"):
        write(FORMAT, empty, plistlib.dumps(present))


def test_expiry_is_in_utc() -> None:
    """On iOS; Android has the device's own time."""
    (rule,) = FORMAT.read(plist({"good.com": {**PINS, "TSKExpirationDate": "2027-06-30"}})).rules

    assert datetime(2027, 6, 30, tzinfo=UTC).date() == rule.expires


def test_apple_and_trustkit_share_a_file() -> None:
    """Each takes back what its policy drops, and nothing of the other or of the owner's."""
    own = {
        "TSKConfiguration": {"TSKPinnedDomains": {"mine.test": {"TSKPublicKeyHashes": []}}},
        "NSAppTransportSecurity": {"NSPinnedDomains": {"mine.test": {}}},
    }
    changed = replace(POLICY, pin_sets=(replace(PAY, hosts=PAY.hosts[:1], leaf=(FOUR,)),))

    text = plistlib.dumps(own)
    for policy in (POLICY, changed):
        for target in (APPLE, FORMAT, APPLE):
            text = write(target, policy, text)
            assert text == write(target, policy, text)
    after: dict[str, Any] = plistlib.loads(text)
    empty = text
    for target in (FORMAT, APPLE):
        assert target.write is not None
        empty = target.write((), empty)

    for domains in (
        after["TSKConfiguration"]["TSKPinnedDomains"],
        after["NSAppTransportSecurity"]["NSPinnedDomains"],
    ):
        assert {"mine.test", "api.example.com"} == domains.keys()
        assert str(FOUR).removeprefix("sha256/") in str(domains["api.example.com"])
    mine: dict[str, Any] = plistlib.loads(empty)
    assert ["mine.test"] == list(mine["TSKConfiguration"]["TSKPinnedDomains"])
    assert own["NSAppTransportSecurity"] == mine["NSAppTransportSecurity"]
    assert own.keys() == mine.keys()
