"""What is signed as it should be, and must not count, or not as a whole."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.document import BreakGlass, DenyList, break_glass_to_bytes, deny_list_to_bytes
from holdfast.updates.freshness import State
from tests.updates.followed import Followed, assert_follows, assert_in_force, at, changed, pin
from tests.updates.origin import sending
from tests.updates.seeded import NEXT, bundle, policy

STRANGER = Pin.of_spki(b"stranger")


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    """A repository, and an application that follows it."""
    with Followed(tmp_path) as followed:
        yield followed


def _with_set(content: Policy, host: str) -> Policy:
    weak = PinSet(
        name="weak",
        hosts=(HostPattern.parse(host),),
        mode=Mode.REPORT_ONLY,
        leaf=(STRANGER,),
        backup=(NEXT,),
    )
    return replace(content, pin_sets=(*content.pin_sets, weak))


def _edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a bundle of serial 3 that no publisher would write."""
    document = json.loads(bundle(3, policy(pin(3))))
    change(document)
    return json.dumps(document).encode()


def _without_pins(document: dict[str, Any]) -> None:
    for pin_set in document["policy"]["pin_set"].values():
        pin_set.update(leaf=[], backup=[])


HOSTILE = {
    "empties a host": (_edited(_without_pins), "empty|pins"),
    "drops a host": (bundle(3, Policy(unlisted=Unlisted.ALLOW)), "dropped"),
    "moves a host": (
        bundle(3, changed(policy(pin(3)), hosts=(HostPattern.parse("other.example.com"),))),
        "hosts",
    ),
    "reports only": (bundle(3, changed(policy(pin(3)), mode=Mode.REPORT_ONLY)), "mode"),
    "weakens trust": (bundle(3, changed(policy(STRANGER), trust=Trust.PINS_ONLY)), "trust"),
    "adds a more specific pattern": (
        bundle(3, _with_set(policy(pin(3)), "v2.api.example.com")),
        "may change pins only",
    ),
    "lets what is unlisted pass otherwise": (
        bundle(3, replace(policy(pin(3)), unlisted=Unlisted.REPORT_ONLY)),
        "unlisted",
    ),
    "a serial of 2^63": (_edited(lambda it: it.update(serial=2**63)), "serial"),
    "a serial of -1": (_edited(lambda it: it.update(serial=-1)), "serial"),
    "of a newer format": (_edited(lambda it: it.update(format=2)), "newer Holdfast"),
    "an array": (b"[]", "object|table"),
    "nested": (b'{"policy":' * 20_000, "bundle"),
    "no text": (b"\xff\xfe", "bundle"),
    "empty": (b"", "bundle"),
}


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_bundles(followed: Followed, content: str) -> None:
    """A stolen key of `pins` signs what it likes; the client tells what is wrong with it."""
    running = followed.followed_to(2)
    data, reason = HOSTILE[content]
    followed.repository.publish(data)

    followed.assert_refused(running, reason, 2)
    assert State.STALE is running.state
    followed.repository.publish()
    assert_follows(running, 4)


def test_issued_in_the_year_9999(followed: Followed) -> None:
    """When a bundle says it was made is for people, and no clock."""
    running = followed.followed_to(2)
    followed.repository.publish(_edited(lambda it: it.update(issued="9999-12-31T23:59:59Z")))
    assert_follows(running, 3)
    followed.repository.publish()

    assert_follows(running, 4)
    assert_follows(followed.application.start(), 4)


@pytest.mark.parametrize(("entry", "reason"), [(str(pin(3)), "bytes, of .* at most"), ("", "pins")])
def test_a_million_pins(followed: Followed, entry: str, reason: str) -> None:
    """A bundle beyond the limits is refused before one of its pins is looked at."""
    running = followed.followed_to(2)
    million = [entry] * 1_000_000
    followed.repository.publish(
        _edited(lambda document: document["policy"]["pin_set"]["api"].update(leaf=million))
    )

    followed.assert_refused(running, reason, 2)


def test_every_pin_is_denied(followed: Followed) -> None:
    """A stolen key of the emergency role locks nobody out."""
    running = followed.followed_to(2)
    followed.repository.deny(pin(3), NEXT)
    followed.repository.publish(roles=["emergency"])

    assert running.refresh().succeeded
    for one in (running, followed.application.start()):
        assert_in_force(one, 3)
        assert () == one.current().denied
        assert State.STALE is one.state
        assert any("leaves nothing to api" in note for note in one.in_force.notes)

    followed.repository.deny()
    followed.repository.publish(roles=["emergency"])
    assert_follows(running, 4)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b'{"format":9}'])
@pytest.mark.parametrize("role", ["emergency", "breakglass"])
def test_a_list_that_cannot_be_read(followed: Followed, role: str, content: bytes) -> None:
    """A stolen key of the emergency or break-glass role holds no pins back; it is said."""
    running = followed.followed_to(2)
    followed.repository.put(role, content)
    followed.repository.publish(roles=[role])

    assert running.refresh().succeeded
    for one in (running, followed.application.start()):
        assert_in_force(one, 3)
        assert State.STALE is one.state
        assert 1 == len(one.in_force.notes)

    followed.repository.put(
        role,
        deny_list_to_bytes(DenyList(serial=3))
        if role == "emergency"
        else break_glass_to_bytes(BreakGlass(serial=3)),
    )
    followed.repository.publish(roles=[role])
    assert_follows(running, 4)


def test_break_glass_that_would_last_too_long(followed: Followed) -> None:
    """It has no effect, and that is said, until its end is within seven days."""
    running = followed.followed_to(2)
    until = followed.repository.now + timedelta(days=8)
    followed.repository.put(
        "breakglass", break_glass_to_bytes(BreakGlass(serial=1, until={"api": until}))
    )
    followed.repository.publish(roles=["breakglass"])

    assert running.refresh().succeeded
    assert_in_force(running, 3)
    assert State.FRESH is running.state
    assert 1 == len(running.in_force.notes)
    assert "more than 7 days" in running.in_force.notes[0]
    assert running.current().pin_sets[0].report_only_until is None

    later = followed.repository.now = followed.repository.now + timedelta(days=2)
    followed.repository.publish(roles=["breakglass"])
    assert_follows(at(running, lambda: later), 4)
    assert until == running.current().pin_sets[0].report_only_until


def _withhold_metadata(followed: Followed) -> None:
    version = followed.repository.signed("pins").version
    followed.origin.answers[f"metadata/{version}.pins.json"] = sending(b"", status=404)


def _withhold_bundle(followed: Followed) -> None:
    for path in [path for path in followed.origin.files if path.startswith("targets/pins/")]:
        del followed.origin.files[path]


def _expire(followed: Followed) -> None:
    repository = followed.repository
    repository.signed("pins").expires = repository.now - timedelta(days=1)
    repository.sign("pins")
    repository.serve("pins")
    repository.publish_top()


def _sign_wrongly(followed: Followed) -> None:
    repository = followed.repository
    repository.signed("pins").version += 1
    repository.sign("pins", repository.keys["emergency"])
    repository.serve("pins")
    repository.publish_top()


def _weaken(followed: Followed) -> None:
    followed.repository.publish(bundle(9, changed(policy(pin(9)), mode=Mode.REPORT_ONLY)))


def _age(followed: Followed) -> None:
    followed.repository.publish(followed.repository.bundle(1))


def _unlist(followed: Followed) -> None:
    repository = followed.repository
    repository.signed("pins").targets.clear()
    repository.bump("pins")
    repository.publish_top()


WITHOUT_PINS = {
    "metadata withheld": (_withhold_metadata, "404"),
    "bundle withheld": (_withhold_bundle, "404"),
    "bundle unlisted": (_unlist, "no pins/bundle"),
    "expired": (_expire, "expired"),
    "wrongly signed": (_sign_wrongly, "signed by 0/1"),
    "weakening": (_weaken, "may change pins only"),
    "older": (_age, "older"),
}


@pytest.mark.parametrize("fault", WITHOUT_PINS)
def test_denials_do_not_wait_for_pins(followed: Followed, fault: str) -> None:
    """A key is denied although the pins of the same state are withheld or refused.

    Otherwise whoever holds one file back, or lets one role expire, keeps a stolen key in use.
    """
    running = followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    break_pins, reason = WITHOUT_PINS[fault]
    break_pins(followed)

    followed.assert_refused(running, reason, 2)
    assert (pin(2),) == running.current().denied
    assert State.STALE is running.state
    assert 1 == len(running.in_force.notes)
    assert reason.partition("/")[0] in running.in_force.notes[0]
    followed.assert_refused(running, reason, 2)
    assert 1 == len(running.in_force.notes)

    # Without the network, after a restart; and from the seed, should the rest be lost.
    assert (pin(2),) == followed.application.start().current().denied
    shutil.rmtree(followed.application.cache / "gen")
    (followed.application.cache / "current").unlink()
    assert (pin(2),) == followed.application.start().current().denied

    followed.origin.answers.clear()
    followed.repository.serial = 9
    followed.repository.publish()
    assert_follows(running, 10)
    assert (pin(2),) == running.current().denied


def test_denials_of_a_first_update(followed: Followed) -> None:
    """The seed is what is in force then, and denials count over it."""
    running = followed.application.start()
    followed.repository.deny(pin(1))
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)

    followed.assert_refused(running, "404", 1)
    for one in (running, followed.application.start()):
        assert (State.SEED, (pin(1),)) == (one.state, one.current().denied)


def test_denials_without_any_policy(followed: Followed) -> None:
    """With no seed there is nothing to deny for: everything is refused as it is."""
    running = followed.application.start(seed=None)
    followed.repository.deny(pin(1))
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)

    assert not running.refresh().succeeded
    assert State.EMPTY is running.state


def test_denials_that_lock_out_do_not_count_without_pins_either(followed: Followed) -> None:
    """A thief of the emergency key who holds pins back denies no more than one who does not."""
    running = followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)
    followed.assert_refused(running, "404", 2)
    followed.repository.deny(NEXT)
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)

    followed.assert_refused(running, "404", 2)
    assert (pin(2),) == running.current().denied
    assert any("leaves nothing to api" in note for note in running.in_force.notes)


def test_denials_made_for_pins_that_are_withheld(followed: Followed) -> None:
    """Nor does the thief lock out by denying the pins to come: those are refused then.

    The pins in force go on, and the offline keys say in a new epoch what is denied.
    """
    running = followed.followed_to(2)
    repository = followed.repository
    repository.deny(NEXT, pin(3))
    repository.publish(roles=["emergency"])
    _withhold_metadata(followed)
    followed.assert_refused(running, "404", 2)
    followed.origin.answers.clear()

    followed.assert_refused(running, "nothing is left to api by the keys that are denied", 2)
    assert {NEXT, pin(3)} == set(running.current().denied)

    repository.deny()
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.publish(roles=["targets", "emergency"])
    assert_follows(running, 4)
    assert () == running.current().denied


def test_denials_of_the_next_epoch(followed: Followed) -> None:
    """A denial counts for the epoch that it was made in, and for the pins of the one before."""
    running = followed.followed_to(2)
    repository = followed.repository
    repository.deny(pin(2))
    repository.publish(roles=["emergency"])
    assert running.refresh().succeeded
    repository.deny(pin(3))
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.publish(roles=["targets", "emergency"])
    _withhold_metadata(followed)

    followed.assert_refused(running, "404", 3)
    for one in (running, followed.application.start()):
        assert {pin(2), pin(3)} == set(one.current().denied)

    # The list is withheld in its turn: what was denied in either epoch holds until it is there.
    followed.origin.answers.clear()
    for path in [path for path in repository.files if path.startswith("targets/emergency/")]:
        del repository.files[path]
    (followed.application.cache / "work" / "targets" / "emergency.deny.json").unlink()
    assert running.refresh().succeeded
    assert_in_force(running, 4)
    assert State.STALE is running.state
    assert {pin(2), pin(3)} == set(running.current().denied)


def test_a_withheld_deny_list(followed: Followed) -> None:
    """The other way round: pins come without it, it is an alarm, and denials hold."""
    running = followed.followed_to(2)
    followed.repository.deny(STRANGER)
    followed.repository.publish(roles=["emergency"])
    assert running.refresh().succeeded
    followed.repository.publish(roles=["emergency"])
    version = followed.repository.signed("emergency").version
    path = f"metadata/{version}.emergency.json"
    followed.origin.answers[path] = sending(b"", status=404)

    assert running.refresh().succeeded
    for one in (running, followed.application.start()):
        assert_in_force(one, 4)
        assert (State.STALE, (STRANGER,)) == (one.state, one.current().denied)
        assert 1 == len(one.in_force.notes)
        assert "emergency/deny.json" in one.in_force.notes[0]
    assert "404" in running.in_force.notes[0]

    followed.origin.answers.clear()
    assert_follows(running, 4)


def test_a_mirror_that_moves_on_holds_no_denial_back(followed: Followed) -> None:
    """What one origin says of denials counts, whatever half of a newer state another one has."""
    followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    withholding = followed.serve(dict(followed.repository.files))
    version = followed.repository.signed("pins").version
    withholding.answers[f"metadata/{version}.pins.json"] = sending(b"", status=404)
    followed.repository.publish(roles=["emergency"])
    version = followed.repository.signed("snapshot").version
    followed.origin.answers[f"metadata/{version}.snapshot.json"] = sending(b"", status=404)
    running = followed.application.start(url=withholding.url, mirrors=[followed.origin.url])

    followed.assert_refused(running, "404.*404", 2)
    assert (pin(2),) == running.current().denied


def test_a_mirror_with_newer_pins_holds_no_denial_back(followed: Followed) -> None:
    """Nor do pins of a newer state whose own deny list is withheld: they come with the next one."""
    followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    withholding = followed.serve(dict(followed.repository.files))
    version = followed.repository.signed("pins").version
    withholding.answers[f"metadata/{version}.pins.json"] = sending(b"", status=404)
    followed.repository.publish(roles=["emergency"])
    version = followed.repository.signed("emergency").version
    followed.origin.answers[f"metadata/{version}.emergency.json"] = sending(b"", status=404)
    running = followed.application.start(url=withholding.url, mirrors=[followed.origin.url])

    followed.assert_refused(running, "404", 2)
    assert (pin(2),) == running.current().denied
    assert running.refresh().succeeded
    assert_in_force(running, 4)
    assert (State.STALE, (pin(2),)) == (running.state, running.current().denied)


def test_denials_of_an_epoch_that_is_over(followed: Followed) -> None:
    """A replayed state brings no denial back that the offline keys have lifted since."""
    followed.repository.deny(STRANGER)
    followed.repository.publish(roles=["emergency"])
    followed.application.ship(3, epoch=2)
    running = followed.application.start()

    followed.assert_refused(running, "older", 3)
    for one in (running, followed.application.start()):
        assert () == one.current().denied


def test_denials_that_cannot_be_kept_count_while_it_runs(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full just then is told beside the rest, and they are kept the next time."""
    running = followed.followed_to(2)
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)
    with monkeypatch.context() as patch:

        def full(*_args: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("holdfast.updates.cache_refresh.deny", full)
        assert not running.refresh().succeeded
        assert (pin(2),) == running.current().denied
        assert any("No space left" in note for note in running.in_force.notes)
        assert () == followed.application.start().current().denied

    followed.assert_refused(running, "404", 2)
    assert (pin(2),) == followed.application.start().current().denied


def test_what_others_have_denied_counts_though_a_refresh_fails(followed: Followed) -> None:
    """Two processes share a cache: what one has learned, the other has at its next try."""
    one, other = followed.followed_to(2), followed.application.start()
    followed.repository.deny(pin(3))
    followed.repository.publish(roles=["emergency"])
    assert one.refresh().succeeded
    followed.origin.answers["*"] = sending(b"", status=500)

    followed.assert_refused(other, "500", 3)
    assert (pin(3),) == other.current().denied
    assert State.FRESH is other.state

    followed.origin.answers.clear()
    followed.repository.deny(STRANGER)
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)
    followed.assert_refused(one, "404", 3)
    followed.origin.answers["*"] = sending(b"", status=500)

    followed.assert_refused(other, "500", 3)
    assert {pin(3), STRANGER} == set(other.current().denied)


def test_a_refused_connection_to_the_denied_key(
    followed: Followed,
) -> None:
    """The policy is another object then, which is what enforcement looks at."""
    running = followed.followed_to(2)
    before = running.current()
    followed.repository.deny(pin(2))
    followed.repository.publish(roles=["emergency"])
    _withhold_metadata(followed)
    running.refresh()
    after = running.current()
    running.refresh()

    assert before is not after
    assert after is running.current()
    assert holdfast.Policy is type(after)
