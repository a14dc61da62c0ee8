import pytest

from holdfast.formats.host_cover import cover, in_words, patterns_of
from holdfast.formats.platform import Kinds, PlatformHost
from holdfast.pins.host_pattern import HostPattern
from tests.formats.test_from_policy import PLATFORMS

APPLE, ANDROID = PLATFORMS["unknown, by role"], PLATFORMS["longest, any depth"]
OKHTTP, APACHE = PLATFORMS["union"], PLATFORMS["union, two depths"]


@pytest.mark.parametrize(
    ("patterns", "platform", "covered", "missing", "extra"),
    [
        (["h.test"], ANDROID, Kinds.APEX, Kinds(0), Kinds(0)),
        (["*.h.test"], ANDROID, Kinds.ANY_DEPTH, Kinds(0), Kinds.APEX | Kinds.DEEPER),
        (["**.h.test"], APPLE, Kinds.ONE_LABEL_DOWN, Kinds.DEEPER, Kinds(0)),
        (["*.h.test"], APPLE, Kinds.ONE_LABEL_DOWN, Kinds(0), Kinds.APEX),
        (["h.test", "*.h.test"], APPLE, Kinds.ONE_LABEL_DOWN, Kinds(0), Kinds(0)),
        (["h.test", "*.h.test"], OKHTTP, Kinds.ONE_LABEL_DOWN, Kinds(0), Kinds(0)),
        (["**.h.test"], APACHE, Kinds.ONE_LABEL_DOWN, Kinds.DEEPER, Kinds(0)),
        (["*.h.test"], PLATFORMS["leaf only"], Kinds(0), Kinds.ONE_BELOW, Kinds(0)),
        (["192.0.2.1"], APACHE, Kinds.APEX, Kinds(0), Kinds(0)),
        (["192.0.2.1"], PLATFORMS["names only, two pins"], Kinds(0), Kinds.APEX, Kinds(0)),
    ],
)
def test_the_entries_that_are_chosen(
    patterns: list[str], platform: object, covered: Kinds, missing: Kinds, extra: Kinds
) -> None:
    """Just the hosts where that can be said; else more of them rather than fewer."""
    (found,) = cover(map(HostPattern.parse, patterns), platform)  # type: ignore[arg-type]

    assert (covered, missing, extra) == (found.covered, found.missing, found.extra)


def test_each_host_is_covered_by_itself() -> None:
    """In the order of the patterns."""
    found = cover(map(HostPattern.parse, ["b.test", "**.a.test"]), ANDROID)

    assert ["b.test", "a.test"] == [one.host for one in found]


def test_entries_are_patterns_again() -> None:
    """Apple's subdomains are two of them."""
    entries = [PlatformHost("h.test", Kinds.ONE_LABEL_DOWN), PlatformHost("h.test", Kinds.APEX)]

    assert ["h.test", "*.h.test"] == [str(one) for one in patterns_of(entries)]


def test_kinds_of_hosts_in_words() -> None:
    """For the consequence of a loss."""
    assert "itself and the hosts two or more labels below it" == in_words(Kinds.APEX | Kinds.DEEPER)
