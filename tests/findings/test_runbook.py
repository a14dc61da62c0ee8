"""Whom to ask, and where to read on."""

from collections.abc import Callable

from holdfast.findings.runbook import hint, runbook
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Unlisted
from holdfast.pins.verdict import Observed, Verdict

CA, LEAF, UNUSED, OTHER = 2, 3, 4, 5


def test_each_trouble_has_its_runbook(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """Refusals, denied keys and backups in use lead to three runbooks, a plain match to none."""
    fields = {"leaf": (pin(LEAF),), "backup": (pin(OTHER),)}
    refused = decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),))
    denied = decide(denied=(pin(CA),), **fields)
    by_backup = decide(leaf=(pin(OTHER),), backup=(pin(LEAF),))

    assert "docs/runbooks/clients-refuse-now.md" == runbook(refused, Observed.NEW_KEY)
    assert "docs/runbooks/the-key-leaked.md" == runbook(denied, Observed.DENIED_KEY)
    assert "docs/runbooks/the-key-leaked.md" == runbook(denied, None)
    assert "docs/runbooks/the-backup-is-lost.md" == runbook(by_backup, None)
    assert None is runbook(decide(**fields), None)


def test_hint_names_owner_and_runbook(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A refusal's hint is one line with the owner, escaped, and the runbook."""
    verdict = decide(
        leaf=(pin(UNUSED),), mode=Mode.REPORT_ONLY, owner="pay\n\x1b[2Jteam <pay@example.com>"
    )

    assert (
        r"ask pay\x0a\x1b[2Jteam <pay@example.com>; see docs/runbooks/clients-refuse-now.md"
        == hint(verdict, Observed.NEW_KEY)
    )


def test_hint_without_an_owner(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """Without an owner it is whoever runs the server; without a set, whoever keeps the policy."""
    fields = {"leaf": (pin(UNUSED),), "mode": Mode.REPORT_ONLY, "owner": None}
    unlisted = decide(host="www.example.com", unlisted=Unlisted.REFUSE, **fields)
    see = "see docs/runbooks/clients-refuse-now.md"

    assert f"ask whoever runs the server (the pin set names no owner); {see}" == hint(
        decide(**fields), Observed.NEW_KEY
    )
    assert f"ask whoever keeps the policy; {see}" == hint(unlisted, Observed.UNKNOWN)


def test_hint_of_a_match(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A match has the verdict's own hint, or none."""
    assert None is hint(decide(leaf=(pin(LEAF),), backup=(pin(OTHER),)), None)
    assert (
        "a backup key is in use: move it to `leaf` and add a new backup; "
        "see docs/runbooks/the-backup-is-lost.md"
    ) == hint(decide(leaf=(pin(OTHER),), backup=(pin(LEAF),)), None)
