import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Redirects
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.redirects import Hop, against_sending, follows_any
from holdfast.pins.verdict import Outcome

PINS = (Pin.of_spki(b"1"), Pin.of_spki(b"2"))
SETS = {
    "enforced": {"mode": Mode.ENFORCE},
    "another": {"mode": Mode.ENFORCE},
    "open": {"mode": Mode.ENFORCE, "redirects": Redirects.ANY},
    "watched": {"mode": Mode.REPORT_ONLY},
    "tight": {"mode": Mode.REPORT_ONLY, "redirects": Redirects.PINNED_ONLY},
}


def _set(name: str) -> PinSet:
    hosts = (HostPattern.parse(f"{name}.example"),)
    return PinSet(name=name, hosts=hosts, leaf=PINS[:1], backup=PINS[1:], **SETS[name])  # type: ignore[arg-type]


def _policy(unlisted: Unlisted = Unlisted.ALLOW) -> Policy:
    return Policy(unlisted=unlisted, pin_sets=tuple(map(_set, SETS)))


def _hop(url: str) -> Hop:
    scheme, _, name = url.partition("://")
    return Hop(scheme, f"{name}.example")


def _decision(url: str, came_from: str | None, unlisted: Unlisted = Unlisted.ALLOW) -> object:
    """Return None, or the outcome and whether the request may go on all the same."""
    origin = None if came_from is None else _hop(came_from)
    verdict = against_sending(_policy(unlisted), _hop(url), origin)
    if verdict is None:
        return None
    assert verdict.violation
    return verdict.outcome, verdict.allowed


NOT_PINNED, UNDECIDABLE = Outcome.NOT_PINNED, Outcome.UNDECIDABLE


@pytest.mark.threat("T21")
@pytest.mark.parametrize(
    ("url", "unlisted", "decision"),
    [
        ("https://enforced", Unlisted.REFUSE, None),
        ("wss://enforced", Unlisted.REFUSE, None),
        ("https://elsewhere", Unlisted.REFUSE, None),  # the handshake refuses it
        ("http://enforced", Unlisted.ALLOW, (UNDECIDABLE, False)),
        ("ws://enforced", Unlisted.ALLOW, (UNDECIDABLE, False)),
        ("ftp://enforced", Unlisted.ALLOW, (UNDECIDABLE, False)),
        ("http://open", Unlisted.ALLOW, (UNDECIDABLE, False)),
        ("http://watched", Unlisted.ALLOW, (UNDECIDABLE, True)),
        ("http://elsewhere", Unlisted.ALLOW, None),
        ("http://elsewhere", Unlisted.REPORT_ONLY, (NOT_PINNED, True)),
        ("http://elsewhere", Unlisted.REFUSE, (NOT_PINNED, False)),
    ],
)
def test_plain_text(url: str, unlisted: Unlisted, decision: object) -> None:
    """An enforced host is not met in the clear, nor one that TLS would be refused to."""
    assert decision == _decision(url, None, unlisted)


@pytest.mark.threat("T19", "T20")
@pytest.mark.parametrize(
    ("came_from", "url", "decision"),
    [
        ("https://enforced", "https://enforced", None),
        ("https://enforced", "https://another", None),
        ("https://enforced", "https://watched", None),
        ("https://enforced", "https://elsewhere", (NOT_PINNED, False)),
        ("https://enforced", "http://elsewhere", (NOT_PINNED, False)),
        ("https://enforced", "http://enforced", (UNDECIDABLE, False)),
        ("https://enforced", "http://watched", (UNDECIDABLE, False)),
        ("https://open", "https://elsewhere", None),
        ("https://open", "http://elsewhere", None),
        ("https://open", "http://enforced", (UNDECIDABLE, False)),
        ("https://watched", "http://elsewhere", None),
        ("https://tight", "https://elsewhere", (NOT_PINNED, True)),
        ("http://tight", "http://elsewhere", (NOT_PINNED, True)),
        ("https://tight", "https://enforced", None),
        ("https://elsewhere", "http://elsewhere", None),
        ("http://elsewhere", "https://enforced", None),
        ("https://elsewhere", "http://enforced", (UNDECIDABLE, False)),
    ],
)
def test_redirects(came_from: str, url: str, decision: object) -> None:
    """A redirect from an enforced host leads to pinned hosts over TLS, unless its set says any."""
    assert decision == _decision(url, came_from)


def test_a_report_only_redirect_into_the_clear_is_still_plain_text() -> None:
    """What lets a redirect pass does not let plain text to an enforced host pass."""
    assert (UNDECIDABLE, False) == _decision("http://enforced", "https://tight")


def test_break_glass_and_expiry_do_not_open_plain_text() -> None:
    """Both are about pins that do not match; without TLS there are none."""
    now = datetime.now(UTC)
    loose = dataclasses.replace(
        _set("enforced"),
        report_only_until=now + timedelta(days=1),
        expires=now - timedelta(days=1),
        on_expiry=OnExpiry.ALLOW,
    )
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=(loose,))

    verdict = against_sending(policy, _hop("http://enforced"), None)

    assert verdict is not None
    assert not verdict.allowed


def test_the_reason_names_both_ends_and_the_set() -> None:
    """Who reads a refusal learns which set stands in the way, and of which redirect."""
    verdict = against_sending(_policy(), _hop("https://elsewhere"), _hop("https://enforced"))

    assert verdict is not None
    assert (
        "a redirect from enforced.example (pin_set.enforced) leads to a host without pins: "
        "https://elsewhere.example"
    ) == verdict.reason
    assert verdict.hint is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("enforced", False), ("open", True), ("watched", True), ("tight", False)],
)
def test_the_default_depends_on_the_mode(name: str, expected: bool) -> None:
    """Enforced sets keep redirects among pinned hosts unless they say otherwise."""
    assert expected is follows_any(_set(name))
