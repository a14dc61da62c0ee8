import plistlib
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.apple import FORMAT
from holdfast.formats.decide import decide
from holdfast.formats.platform import Kinds, PlatformHost
from tests.formats.test_from_policy import LEAVES, NOW
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

TEXT = str(ONE).removeprefix("sha256/")
IDENTITIES = [{"SPKI-SHA256-BASE64": TEXT}]


def plist(domains: object, **more: object) -> bytes:
    """Return an `Info.plist` with these pinned domains."""
    return plistlib.dumps({"NSAppTransportSecurity": {"NSPinnedDomains": domains}, **more})


def test_what_else_a_file_holds_stays() -> None:
    """Other keys, other domains, their order, and the binary form."""
    mine = {"mine.test": {"NSPinnedLeafIdentities": IDENTITIES}}
    value = {
        "CFBundleName": "App",
        "NSAppTransportSecurity": {"NSAllowsLocalNetworking": True, "NSPinnedDomains": mine},
    }
    binary = plistlib.dumps(value, fmt=plistlib.FMT_BINARY)

    text = write(FORMAT, POLICY, binary)
    after: dict[str, Any] = plistlib.loads(text)

    assert b"bplist00" == text[:8]
    assert ("App", True) == (
        after["CFBundleName"],
        after["NSAppTransportSecurity"]["NSAllowsLocalNetworking"],
    )
    assert "mine.test" in after["NSAppTransportSecurity"]["NSPinnedDomains"]
    assert FORMAT.write is not None
    assert value == plistlib.loads(FORMAT.write((), text))


def test_a_file_that_says_so_already_is_left_alone() -> None:
    """With its comments."""
    text = write(FORMAT, POLICY).replace(b"<dict>", b"<!-- mine -->\n<dict>", 1)

    assert text == write(FORMAT, POLICY, text)


def test_subdomains_are_those_one_label_below() -> None:
    """Apple's own example: advanced.math.example.com is not pinned by example.com."""
    entry = {"NSIncludesSubdomains": True, "NSPinnedLeafIdentities": IDENTITIES}
    (rule,) = FORMAT.read(plist({"example.com": entry})).rules

    assert (PlatformHost("example.com", Kinds.ONE_LABEL_DOWN),) == rule.hosts
    chain = LEAVES[1]
    for host, allowed in (("math.example.com", False), ("advanced.math.example.com", True)):
        from holdfast.pins.chain import VerifiedChain

        verdict = decide([rule], FORMAT.semantics, host, VerifiedChain((chain,)), NOW)
        assert allowed is verdict.allowed


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"*.example.com": {"NSPinnedLeafIdentities": IDENTITIES}}, "not a host"),
        ({"EXAMPLE.com": {"NSPinnedLeafIdentities": IDENTITIES}}, "matches no host"),
        ({"example.com.": {"NSPinnedLeafIdentities": IDENTITIES}}, "matches no host"),
        ({"example.com:443": {"NSPinnedLeafIdentities": IDENTITIES}}, "not a host name"),
        ({"example.com": {}}, "no pins"),
        ({"example.com": {"NSPinnedLeafIdentities": [TEXT]}}, "it has no SPKI"),
        ({"example.com": {"NSPinnedCAIdentities": [{"SPKI-SHA256-BASE64": "AA"}]}}, "pin"),
        ({"example.com": "pinned"}, "no dictionary"),
        ("pinned", "no dictionary"),
        (
            {"example.com": {"NSIncludesSubdomains": "yes", "NSPinnedLeafIdentities": IDENTITIES}},
            "true or false",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(domains: object, message: str) -> None:
    """What Apple ignores or refuses is refused here."""
    with pytest.raises(PolicyError, match=message) as caught:
        FORMAT.read(plist(domains))

    assert caught.value.problems[0].place.startswith("NS")


def test_both_lists_count() -> None:
    """They are read as they are."""
    entry = {
        "NSPinnedLeafIdentities": IDENTITIES,
        "NSPinnedCAIdentities": [{"SPKI-SHA256-BASE64": str(TWO).removeprefix("sha256/")}],
    }
    (rule,) = FORMAT.read(plist({"example.com": entry})).rules

    assert ((ONE,), (TWO,)) == (rule.leaf, rule.ca)
    with pytest.raises(PolicyError, match="no dictionary"):
        write(FORMAT, POLICY, plist("pinned"))
