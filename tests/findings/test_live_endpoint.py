"""What a check says about an endpoint, and how grave it is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.findings.finding import Severity
from holdfast.findings.live_endpoint import TITLES, finding_of, unreachable
from holdfast.findings.observed import observe
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.evaluate import undecidable, untrusted
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Verdict

LEAF, UNUSED, OTHER = 3, 4, 5
ENDPOINT = Endpoint("https", "api.example.com", 443)
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def found(now: datetime) -> Callable[[Verdict], tuple[str, Severity] | None]:
    """Return rule and severity of the finding about a verdict."""

    def make(verdict: Verdict) -> tuple[str, Severity] | None:
        observed = observe(verdict) if verdict.violation else None
        finding = finding_of(verdict, observed, ENDPOINT, now)
        return (finding.rule, finding.severity) if finding else None

    return make


def test_refusals_are_errors(
    found: Callable[[Verdict], tuple[str, Severity] | None],
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
    decide: Callable[..., Verdict],
) -> None:
    """Whatever a client refuses, or reports, is an error under its own rule."""
    fields = {"leaf": (pin(UNUSED),), "backup": (pin(OTHER),)}
    own = policy(**fields)
    expiry = {"expires": LONG_AGO, "on_expiry": OnExpiry.REPORT_ONLY}
    unlisted = {"host": "www.example.com", "unlisted": Unlisted.REPORT_ONLY}
    verdicts = {
        "HF201": decide(**fields, mode=Mode.REPORT_ONLY),
        "HF202": untrusted(own, "api.example.com", "why"),
        "HF203": decide(**fields, denied=(pin(LEAF),)),
        "HF204": undecidable(own, "api.example.com", "why"),
        "HF205": decide(**fields, **expiry),
        "HF206": decide(**fields, **unlisted),
    }

    assert [(rule, Severity.ERROR) for rule in verdicts] == [
        found(verdict) for verdict in verdicts.values()
    ]


def test_what_passes_but_wants_care_is_less(
    found: Callable[[Verdict], tuple[str, Severity] | None],
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
) -> None:
    """Expiry and backups in use are warnings, a host that is not pinned is a note."""
    fields = {"leaf": (pin(UNUSED),), "backup": (pin(OTHER),)}
    expiry = {"expires": LONG_AGO, "on_expiry": OnExpiry.ALLOW}

    assert ("HF205", Severity.WARNING) == found(decide(**fields, **expiry))
    assert ("HF206", Severity.NOTE) == found(decide(host="www.example.com", **fields))
    assert ("HF207", Severity.WARNING) == found(decide(leaf=(pin(OTHER),), backup=(pin(LEAF),)))


def test_match_is_no_finding_until_the_set_expires(
    found: Callable[[Verdict], tuple[str, Severity] | None],
    now: datetime,
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
) -> None:
    """A match says nothing; from its expiry on the set wants renewal, whichever key is in use."""
    good = {"leaf": (pin(LEAF),), "backup": (pin(OTHER),), "on_expiry": OnExpiry.ENFORCE}
    backup = {"leaf": (pin(OTHER),), "backup": (pin(LEAF),), "on_expiry": OnExpiry.ENFORCE}

    assert None is found(decide(leaf=(pin(LEAF),), backup=(pin(OTHER),)))
    assert None is found(decide(**good, expires=now + timedelta(seconds=1)))
    assert ("HF205", Severity.WARNING) == found(decide(**good, expires=now))
    assert ("HF205", Severity.WARNING) == found(decide(**backup, expires=now))


def test_finding_says_what_was_seen_and_what_to_do(
    now: datetime, pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """Place, reason, action and source are those of the endpoint, the verdict and the owner."""
    verdict = decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),))
    finding = finding_of(verdict, Observed.NEW_KEY, ENDPOINT, now)

    assert finding is not None
    assert "https://api.example.com:443" == finding.place
    assert "api.example.com" == finding.subject
    assert (
        "no pin of the set is on the path; observed new-key: a key that the pin set does not know, "
        "on a path that verifies: a rotation or a mis-issued certificate, "
        "which look the same from here"
    ) == finding.reason
    assert (
        "ask payments team <pay@example.com>; see docs/runbooks/clients-refuse-now.md"
        == finding.action
    )
    assert "RFC 7469 section 2.6" == finding.source


def test_every_finding_says_what_to_do(
    now: datetime, pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """Where the verdict has no advice of its own, the rule has."""
    fields = {"leaf": (pin(UNUSED),), "backup": (pin(OTHER),)}
    expired = decide(**fields, expires=LONG_AGO, on_expiry=OnExpiry.ALLOW)
    unlisted = decide(host="www.example.com", **fields)
    actions = [
        finding.action
        for verdict in (expired, unlisted)
        if (finding := finding_of(verdict, None, ENDPOINT, now))
    ]

    assert [
        "renew the set with pins from the server's owner: it refuses nothing any more",
        "add a pin set for the host, or stop checking it",
    ] == actions


def test_unreachable_is_a_note() -> None:
    """An endpoint that cannot be reached is not called wrong: nothing was determined."""
    finding = unreachable(ENDPOINT, "connection refused")

    assert ("HF208", Severity.NOTE, "connection refused") == (
        finding.rule,
        finding.severity,
        finding.reason,
    )


def test_rules_have_titles() -> None:
    """The rules are numbered without a gap, and each has a title."""
    assert [f"HF2{number:02}" for number in range(1, 9)] == list(TITLES)
    assert all(TITLES.values())
