from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.findings.finding import Finding, Severity
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.evaluate import evaluate, untrusted
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.publication_gate import (
    TITLES,
    Leave,
    Limits,
    Seen,
    endpoints_to_visit,
    gate_findings,
    more_than_pins,
    nothing_seen,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
LEAF, BACKUP, NEXT, ROOT, ISSUER, OTHER = (
    Pin.of_spki(key) for key in (b"leaf", b"backup", b"next", b"root", b"issuer", b"other")
)
API = Endpoint("https", "api.example.com", 443)


def pin_set(name: str = "api", *hosts: str, **fields: object) -> PinSet:
    """Return an enforced set with a leaf and a backup pin."""
    made = PinSet(
        name=name,
        hosts=tuple(map(HostPattern.parse, hosts or (f"{name}.example.com",))),
        mode=Mode.ENFORCE,
        leaf=(LEAF,),
        backup=(BACKUP,),
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # as the tests give them


def policy(*pin_sets: PinSet, unlisted: Unlisted = Unlisted.ALLOW) -> Policy:
    """Return a policy of these sets."""
    return Policy(unlisted=unlisted, pin_sets=pin_sets)


def certificate(pin: Pin) -> ChainCertificate:
    """Return a certificate of a key, as far as pins see it."""
    return ChainCertificate(b"", pin.digest, Pin.of_certificate(pin.digest).digest)


def seen(after: Policy, *path: Pin, endpoint: Endpoint = API) -> Seen:
    """Return what was seen where a server shows this path, leaf first; nothing without one."""
    if not path:
        return Seen(endpoint=endpoint, verdict=None, reason="no answer within 10 s")
    chain = VerifiedChain(tuple(map(certificate, path)))
    verdict = evaluate(after, endpoint.host, chain, NOW)
    return Seen(endpoint=endpoint, verdict=verdict, reason=verdict.reason, action="ask the owner")


def rules(found: tuple[Finding, ...], severity: Severity = Severity.ERROR) -> list[str]:
    """Return the ids of the findings of a severity."""
    return [one.rule for one in found if one.severity is severity]


def test_all_well() -> None:
    """A path with a pin, a backup in reserve and nothing removed: nothing is said."""
    after = policy(pin_set())

    assert () == gate_findings(None, after, (seen(after, LEAF, ISSUER, ROOT),))
    assert () == gate_findings(after, after, (seen(after, LEAF, ISSUER, ROOT),))


def test_what_would_lock_clients_out() -> None:
    """The server's path is held against the new policy; what it says and what to do is told."""
    after = policy(pin_set())
    (found,) = gate_findings(None, after, (seen(after, OTHER, ROOT),))

    assert ("HF601", Severity.ERROR, str(API)) == (found.rule, found.severity, found.place)
    assert "locked out" in found.reason
    assert "ask the owner" == found.action


def test_an_unlisted_host_that_is_refused_is_locked_out_too() -> None:
    """A set that goes while all others are refused takes its clients with it."""
    after = policy(pin_set("other"), unlisted=Unlisted.REFUSE)

    assert ["HF601"] == rules(gate_findings(None, after, (seen(after, LEAF, ROOT),)))


def test_what_is_let_in_for_now_is_a_warning() -> None:
    """Break-glass ends by itself, and then clients are locked out."""
    after = policy(pin_set(report_only_until=NOW + timedelta(days=1)))
    found = gate_findings(None, after, (seen(after, OTHER, ROOT),))

    assert [] == rules(found)
    assert ["HF601"] == rules(found, Severity.WARNING)


def test_a_report_only_set_locks_nobody_out() -> None:
    """Neither a mismatch nor silence stands against it."""
    after = policy(pin_set(mode=Mode.REPORT_ONLY))

    assert () == gate_findings(None, after, (seen(after, OTHER), seen(after)))


def test_silence_is_not_success() -> None:
    """An enforced set whose server does not answer is not published."""
    after = policy(pin_set())
    (found,) = gate_findings(None, after, (seen(after),))

    assert ("HF602", Severity.ERROR) == (found.rule, found.severity)
    assert "--skip-live" in found.action


@pytest.mark.parametrize(
    ("fields", "paths", "expected"),
    [
        ({}, [(LEAF, ROOT)], []),
        # Two servers in the middle of a rotation use them all.
        ({}, [(LEAF, ROOT), (BACKUP, ROOT)], ["HF603"]),
        ({"backup": (), "ca": (ROOT, OTHER)}, [(LEAF, ROOT)], []),
        ({"backup": (ISSUER,)}, [(LEAF, ISSUER, ROOT)], ["HF603"]),
        ({"backup": (), "single_pin": ACCEPT_LOCK_OUT}, [(LEAF, ROOT)], []),
        ({"mode": Mode.REPORT_ONLY, "backup": ()}, [(LEAF, ROOT)], []),
        (
            {"require": Require.LEAF_AND_CA, "ca": (ROOT, OTHER)},
            [(LEAF, ROOT), (BACKUP, ROOT)],
            ["HF603"],
        ),
        ({"ca": (OTHER,)}, [(LEAF, ROOT), (BACKUP, ROOT)], []),
    ],
)
def test_a_reserve_is_left(
    fields: dict[str, Any], paths: list[tuple[Pin, ...]], expected: list[str]
) -> None:
    """Each enforced set has a pin that no server shows, unless lock-out was accepted."""
    after = policy(pin_set(**fields))

    assert expected == rules(gate_findings(None, after, tuple(seen(after, *one) for one in paths)))


def test_a_certificate_and_its_key_are_one() -> None:
    """A pin of the certificate in use is no reserve for its key."""
    after = policy(pin_set(backup=(Pin.of_certificate(LEAF.digest),)))

    assert ["HF603"] == rules(gate_findings(None, after, (seen(after, LEAF, ROOT),)))


@pytest.mark.parametrize(
    ("ca", "expected"), [((ROOT, ISSUER), ["HF604"]), ((ROOT, OTHER), []), ((OTHER, ROOT), [])]
)
def test_two_cas_are_not_on_one_path(ca: tuple[Pin, ...], expected: list[str]) -> None:
    """A root and its own intermediate count as two when a policy is loaded; here it is said."""
    after = policy(pin_set(leaf=(), backup=(), ca=ca))
    found = gate_findings(None, after, (seen(after, LEAF, ISSUER, ROOT),))

    assert [] == rules(found)
    assert expected == rules(found, Severity.WARNING)


def _removing(
    after: Policy, *looks: Seen, before: Policy | None = None, **more: object
) -> list[str]:
    found = gate_findings(before or policy(pin_set()), after, looks, **more)  # type: ignore[arg-type]
    return [one.rule for one in found if one.severity is Severity.ERROR and one.rule == "HF605"]


def test_a_pin_in_use_is_not_removed() -> None:
    """It is while a server shows it; afterwards it may go."""
    after = policy(pin_set(leaf=(BACKUP,), backup=(NEXT,)))

    assert ["HF605"] == _removing(after, seen(after, LEAF, ROOT))
    assert [] == _removing(after, seen(after, BACKUP, ROOT))


def test_unknown_is_not_unused() -> None:
    """Where nothing was seen, a leaf or CA pin counts as in use, and a backup as in reserve."""
    without_leaf = policy(pin_set(leaf=(BACKUP,), backup=(NEXT,)))
    without_backup = policy(pin_set(backup=(NEXT,)))
    before = policy(pin_set(leaf=(), backup=(), ca=(ROOT, OTHER)))
    without_ca = policy(pin_set(leaf=(), backup=(), ca=(ROOT, ISSUER)))

    assert ["HF605"] == _removing(without_leaf)
    assert ["HF605"] == _removing(without_leaf, seen(without_leaf))
    assert ["HF605"] == _removing(without_ca, before=before)
    assert [] == _removing(without_backup)
    assert [] == _removing(without_backup, seen(without_backup))


def test_a_backup_in_use_is_in_use() -> None:
    """What was seen counts more than the list in which a pin stands."""
    after = policy(pin_set(backup=(NEXT,)))

    assert ["HF605"] == _removing(after, seen(after, BACKUP, ROOT))


def test_a_pin_that_moves_is_removed_where_it_counts_no_longer() -> None:
    """From leaf to backup it counts as before; as a CA it is another pin."""
    moved = policy(pin_set(leaf=(BACKUP,), backup=(LEAF,)))
    changed = policy(pin_set(leaf=(BACKUP,), backup=(NEXT,), ca=(LEAF,)))

    assert [] == _removing(moved)
    assert ["HF605"] == _removing(changed)


def test_a_more_specific_set_removes_pins_too() -> None:
    """Hosts are compared, not names: a set that takes a host from another has to have its pins."""
    wide = pin_set("all", "**.example.com")
    taken = policy(wide, pin_set(leaf=(NEXT,), backup=(OTHER,)))

    assert ["HF605"] == _removing(taken, before=policy(wide))
    assert [] == _removing(policy(wide, pin_set()), before=policy(wide))


def test_a_set_that_goes_takes_its_pins_with_it() -> None:
    """Until its server shows others, or none of its endpoints is left."""
    after = policy(pin_set("other"))
    before = policy(pin_set(), pin_set("other"))

    assert ["HF605"] == _removing(after, seen(after, LEAF, ROOT), before=before)
    assert [] == _removing(after, seen(after, NEXT, ROOT), before=before)


def test_a_pin_that_was_denied_may_go() -> None:
    """Nobody gets in with it, so nobody is locked out."""
    after = policy(pin_set(leaf=(BACKUP,), backup=(NEXT,)))

    assert [] == _removing(after, seen(after, LEAF, ROOT), denied=frozenset({LEAF}))


def test_a_report_only_set_may_lose_its_pins() -> None:
    """They never refused anybody."""
    before = policy(pin_set(mode=Mode.REPORT_ONLY))

    assert [] == _removing(policy(pin_set(leaf=(NEXT,))), before=before)


@pytest.mark.parametrize(("trust", "expected"), [(Trust.PINS_ONLY, []), (Trust.PUBLIC, ["HF605"])])
def test_what_was_not_verified_hides_cas(trust: Trust, expected: list[str]) -> None:
    """A proven leaf is all of a pins-only set; of another one its CAs are unknown."""
    fields: dict[str, Any] = {"trust": trust, "leaf": (LEAF, OTHER)}
    before = policy(pin_set(**fields))
    after = policy(pin_set(trust=Trust.PINS_ONLY))
    verdict = evaluate(after, API.host, ProvenLeaf(certificate(LEAF)), NOW)

    assert expected == _removing(after, Seen(endpoint=API, verdict=verdict), before=before)


def test_what_did_not_verify_is_seen_all_the_same() -> None:
    """It is refused, and the backup that it shows is in use."""
    after = policy(pin_set(backup=(NEXT,)))
    shown = PresentedChain((certificate(BACKUP),))
    verdict = untrusted(after, API.host, "self-signed certificate", shown)
    found = gate_findings(policy(pin_set()), after, (Seen(endpoint=API, verdict=verdict),))

    assert ["HF601", "HF605"] == rules(found)


def test_leave_turns_a_refusal_into_a_warning() -> None:
    """It is said all the same."""
    sets = [pin_set(f"api{number}") for number in range(5)]
    after = policy(*(replace(one, leaf=(NEXT,)) for one in sets))
    found = gate_findings(policy(*sets), after, (), leave=Leave(emergency=True, large=True))

    assert [] == rules(found)
    assert {"HF605", "HF606"} == set(rules(found, Severity.WARNING))


@pytest.mark.parametrize(
    ("number", "changed", "limits", "expected"),
    [
        (4, 3, Limits(), []),
        (4, 4, Limits(), ["HF606"]),
        (50, 5, Limits(), []),
        (50, 6, Limits(), ["HF606"]),
        (50, 6, Limits(percent=12), []),
        (4, 4, Limits(pin_sets=4), []),
    ],
)
def test_how_much_may_change_at_once(
    number: int, changed: int, limits: Limits, expected: list[str]
) -> None:
    """Three sets or a tenth, the larger; sets that go count, new ones and new owners do not."""
    sets = [pin_set(f"api{index}") for index in range(number)]
    kept = [replace(one, owner="somebody") for one in sets[changed:]]
    new = [pin_set(f"new{index}") for index in range(number)]
    found = gate_findings(policy(*sets), policy(*kept, *new), (), limits=limits)

    assert expected == [one.rule for one in found if one.rule == "HF606"]


@pytest.mark.parametrize(
    "change",
    [{"hosts": (HostPattern.parse("api.example.org"),)}, {"backup": (OTHER,)}, {"strict": True}],
)
def test_what_counts_as_a_change(change: dict[str, Any]) -> None:
    """Other hosts, pins or rules."""
    found = gate_findings(
        policy(pin_set()), policy(pin_set(**change)), (), limits=Limits(pin_sets=0, percent=0)
    )

    assert "HF606" in rules(found)


def test_what_is_visited() -> None:
    """The endpoints of enforced sets, and those of sets that lose pins, each once."""
    elsewhere = Endpoint("https", "api.example.com", 8443)
    before = policy(pin_set(leaf=(OTHER,), endpoints=(elsewhere,)), pin_set("same"))
    after = policy(
        pin_set(),
        pin_set("same"),
        pin_set("quiet", mode=Mode.REPORT_ONLY),
        pin_set("wild", "*.example.org"),
    )
    same = Endpoint("https", "same.example.com", 443)

    assert (API, same) == endpoints_to_visit(None, after)
    assert (API, same, elsewhere) == endpoints_to_visit(before, after)


def test_each_finding_has_a_title() -> None:
    """The list of all findings has it too."""
    listed = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    said = {more_than_pins("mode").rule, nothing_seen().rule}

    assert said < TITLES.keys()
    assert [] == [rule for rule, title in TITLES.items() if f"| {rule} | {title} |" not in listed]
    assert "mode" in more_than_pins("mode").reason
    assert "--rules" in more_than_pins("mode").action
