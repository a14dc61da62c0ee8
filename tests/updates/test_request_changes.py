from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import TargetFile, Targets

from holdfast.errors import PolicyError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.updates.document import DENY_TARGET, DenyList, deny_list_to_bytes
from holdfast.updates.epoch import EPOCH_FIELD
from holdfast.updates.publisher import Publisher
from holdfast.updates.request import Request
from holdfast.updates.request_changes import documents, request_changes
from holdfast.updates.rule_comparison import Change, Kind
from holdfast.updates.staged_repository import read_request
from tests.updates.ceremony import HOUR, Ceremony, signer_of
from tests.updates.seeded import NEW, OLD, policy
from tests.updates.signed_repository import NOW

KEY = Pin.of_spki(b"stolen")


def _told(request: Request) -> list[str]:
    return [f"{one.kind.value}: {one.place}: {one.words}" for one in request_changes(request, NOW)]


def _resign(*roles: str) -> Callable[[Publisher], object]:
    return lambda publisher: publisher.resign(roles)


@pytest.fixture
def published(ceremony: Ceremony) -> Ceremony:
    """The repository with a policy."""
    ceremony.opened().publish(policy(OLD), refresh=HOUR, rules=True)
    return ceremony


def test_a_lowered_threshold_stands_first(published: Ceremony) -> None:
    """Before the policy that weakens too, wherever in the request it was hidden."""
    looser = policy(OLD, mode=Mode.REPORT_ONLY)
    request = published.staged(lambda one: one.publish(looser, refresh=HOUR, rules=True))
    request.after["targets"].signed.delegations.roles["breakglass"].threshold = 1

    told = _told(request)

    assert "weakening: breakglass.threshold: the threshold goes from 2 to 1" == told[0]
    assert told[1].startswith("weakening: pin_set.api.mode: mode goes from enforce to report-only")


def test_a_new_repository_says_who_signs_what(ceremony: Ceremony) -> None:
    """All keys by name and id, and nothing that is not as usual goes without saying."""
    folder = ceremony.folder.with_name("another")
    file = ceremony.folder.with_name("first.json")
    Publisher.created(folder, ceremony.keys, ceremony.opened().settings.roles, NOW, file)
    request = read_request(file)
    told = _told(request)

    names = ", ".join(f"{name} ({key.public_key.keyid})" for name, key in ceremony.people.items())
    assert f"neutral: root.keys: it takes 2 of {names}" in told
    assert all(line.startswith("neutral") for line in told)
    request.after["root"].signed.consistent_snapshot = False
    request.after["targets"].signed.delegations.roles["pins"].paths = ["*"]
    assert {
        "weakening: root.consistent_snapshot: goes from true to false",
        'weakening: targets.delegations.pins.paths: goes from ["pins/*"] to ["*"]',
    } == set(_told(request)[:2])


def test_other_keys_are_told_with_their_owners(published: Ceremony) -> None:
    """Who comes, who goes, whose name changes, and whether there are more."""
    dave = signer_of("dave").public_key
    kept = [published.people[name].public_key for name in ("alice", "bob")]
    request = published.staged(lambda one: one.rotate_keys("targets", [*kept, dave]))
    carol = published.people["carol"].public_key

    assert {
        f"neutral: targets.keys: carol ({carol.keyid}) may sign no longer",
        f"neutral: targets.keys: dave ({dave.keyid}) may sign from now on",
    } == set(_told(request)[:2])

    root = request.after["root"].signed
    root.add_key(carol, "targets")
    renamed = SSlibKey.from_dict(dave.keyid, {**dave.to_dict(), "x-holdfast-owner": "mallory"})
    root.keys[kept[0].keyid].unrecognized_fields["x-holdfast-owner"] = renamed.unrecognized_fields[
        "x-holdfast-owner"
    ]
    told = _told(request)
    assert "weakening: targets.keys: the keys that may sign it go from 3 to 4" in told
    assert (
        f"neutral: targets.keys: the key of alice ({kept[0].keyid}) is now that of "
        f"mallory ({kept[0].keyid})"
    ) in told


def test_a_raised_threshold_strengthens(published: Ceremony) -> None:
    """And fewer keys do."""
    request = published.staged(_resign("root"))
    rule = request.after["root"].signed.roles["targets"]
    rule.threshold = 3

    assert "strengthening: targets.threshold: the threshold goes from 2 to 3" in _told(request)


def test_policies_are_told_as_differences_and_whole(published: Ceremony) -> None:
    """The words shorten long lists, the sets themselves do not."""
    pins = [Pin.of_spki(bytes([number])) for number in range(6)]
    request = published.staged(
        lambda one: one.publish(policy(*pins), refresh=2 * HOUR), machine=False
    )
    told = _told(request)

    (words,) = [line for line in told if "leaf adds" in line]
    assert "and 3 more" in words
    (whole,) = [line for line in told if line.startswith("pins: pin_set.api: is")]
    assert all(str(pin) in whole for pin in pins)
    assert "neutral: refresh: clients ask again after 2:00:00, not 1:00:00" in told
    assert "neutral: pins/bundle.json: serial 2" in told


def test_rules_and_pins_that_are_one_bundle_are_told_once(published: Ceremony) -> None:
    """A person reads each change one time."""
    looser = policy(OLD, mode=Mode.REPORT_ONLY)
    request = published.staged(lambda one: one.publish(looser, refresh=HOUR, rules=True))

    assert 1 == sum("mode goes" in line for line in _told(request))


def test_a_first_policy_is_told_whole(ceremony: Ceremony) -> None:
    """There is nothing to compare it with."""
    request = ceremony.staged(lambda one: one.publish(policy(OLD), refresh=HOUR, rules=True))
    told = _told(request)

    assert 'neutral: holdfast: {"format": 1, "unlisted": "allow"}' in told
    assert any(line.startswith("pins: pin_set.api: is {") and str(OLD) in line for line in told)
    assert not any("weakening" in line for line in told)


def test_denials_and_break_glass_are_told(published: Ceremony) -> None:
    """What is denied strengthens; what is denied no longer weakens, as break-glass does."""
    published.opened().deny([OLD, NEW])
    until = NOW + timedelta(days=2)
    published.opened().break_glass({"api": until})
    request = published.staged(lambda one: one.deny([KEY]))
    assert f"strengthening: denied: {KEY} is denied" in _told(request)

    lifted = published.staged(lambda one: one.deny([KEY]))
    signed = lifted.after["emergency"].signed
    content = deny_list_to_bytes(DenyList(serial=3, denied=frozenset({OLD})))
    forged = _with_file(lifted, signed, content)
    assert f"weakening: denied: {NEW} is denied no longer" in _told(forged)

    opened = published.staged(lambda one: one.break_glass({"api": until + HOUR}))
    assert "weakening: pin_set.api: report-only until 2027-03-03T13:00:00Z: break-glass" in _told(
        opened
    )
    ended = published.staged(lambda one: one.break_glass({}))
    assert "strengthening: pin_set.api: break-glass ends" in _told(ended)


def _with_file(request: Request, signed: Targets, content: bytes) -> Request:
    target = TargetFile.from_data(DENY_TARGET, content, ["sha256"])
    former = signed.targets[DENY_TARGET].hashes["sha256"]
    signed.targets[DENY_TARGET] = target
    files = {name: data for name, data in request.files.items() if name != former}
    return replace(request, files={**files, target.hashes["sha256"]: content})


def test_what_has_no_words_is_told_as_it_stands(published: Ceremony) -> None:
    """Whatever an attacker or a newer Holdfast has put there, it is not signed unseen."""
    request = published.staged(_resign("root", "targets", "emergency"))
    root, targets = request.after["root"].signed, request.after["targets"].signed
    root.unrecognized_fields["x-new"] = {"a": 1}
    root.roles["timestamp"].unrecognized_fields["x-role"] = True
    targets.unrecognized_fields[EPOCH_FIELD] = 2
    targets.delegations.unrecognized_fields["x-more"] = 7
    targets.delegations.roles["pins"].terminating = False
    targets.delegations.roles = dict(reversed(targets.delegations.roles.items()))
    request.after["emergency"].signed.targets[DENY_TARGET].unrecognized_fields["custom"] = "x"

    told = set(_told(request))

    order = ("pins", "breakglass", "emergency")
    assert {
        'weakening: root.x-new: is {"a": 1}',
        "weakening: timestamp.x-role: is true",
        "weakening: targets.epoch: the epoch goes from 1 to 2: older denials end",
        "weakening: targets.delegations.x-more: is 7",
        "weakening: targets.delegations.pins.terminating: goes from true to false",
        f"weakening: targets.delegations: it delegates to {', '.join(order)}, in this order",
        'weakening: emergency.emergency/deny.json.custom: is "x"',
    } <= told


def test_a_file_that_is_gone_is_told(published: Ceremony) -> None:
    """A deny list that nobody lists any more, for one."""
    request = published.staged(_resign("emergency"))
    del request.after["emergency"].signed.targets[DENY_TARGET]

    assert "weakening: emergency: emergency/deny.json is not there any more" in _told(request)


def test_a_field_that_goes_is_told(published: Ceremony) -> None:
    """It may have said something."""
    request = published.staged(_resign("root"))
    request.roots[-1].signed.unrecognized_fields["x-old"] = 1

    assert "weakening: root.x-old: was 1, and is gone" in _told(request)


def test_how_long_it_holds_is_told(published: Ceremony) -> None:
    """A signature that never ends would too."""
    request = published.staged(_resign("emergency"))

    assert Change(
        "emergency", "version 2, to be signed again before 2027-08-28T12:00:00Z", Kind.NEUTRAL
    ) in request_changes(request, NOW)


def test_a_file_that_no_client_could_use_is_not_told(published: Ceremony) -> None:
    """It is refused, before anybody signs it."""
    request = published.staged(lambda one: one.deny([KEY]))
    forged = _with_file(request, request.after["emergency"].signed, b'{"format": 1}')

    with pytest.raises(PolicyError, match="emergency/deny"):
        request_changes(forged, NOW)


def test_documents_are_read_by_their_paths(published: Ceremony) -> None:
    """Only those that the request brings."""
    request = published.staged(lambda one: one.deny([KEY]))

    after = documents(request, request.after, NOW)
    assert [DENY_TARGET] == list(after)
    assert 2 == after[DENY_TARGET].serial
    assert 1 == documents(request, request.before, NOW)[DENY_TARGET].serial
