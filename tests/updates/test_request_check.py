from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from holdfast.errors import PolicyError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.updates.document import PINS_TARGET, POLICY_TARGET, Bundle, bundle_to_bytes
from holdfast.updates.epoch import EPOCH_FIELD
from holdfast.updates.key_card import KeyCard
from holdfast.updates.key_folder import add_card
from holdfast.updates.publisher import Publisher
from holdfast.updates.request import Request
from holdfast.updates.roles import ONLINE, PROFILES
from holdfast.updates.roll_out import SALT_BYTES, Candidate
from holdfast.updates.signing import sign_request
from holdfast.updates.staged_repository import read_request
from tests.updates.ceremony import HOUR, Ceremony, by_id, followed, signer_of
from tests.updates.seeded import NEW, OLD, policy
from tests.updates.signed_repository import NOW

DAY = timedelta(days=1)
KEY = Pin.of_spki(b"stolen")


def _deny(publisher: Publisher) -> object:
    return publisher.deny([KEY])


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def published(ceremony: Ceremony) -> Ceremony:
    """The repository with a policy."""
    ceremony.opened().publish(policy(OLD), refresh=HOUR, rules=True)
    return ceremony


def test_what_enough_people_signed_is_published(published: Ceremony) -> None:
    """On a machine that has the online keys only."""
    looser = policy(OLD, mode=Mode.REPORT_ONLY)
    request = published.staged(
        lambda one: one.publish(looser, refresh=HOUR, rules=True), "alice", "carol"
    )

    assert ("targets", "pins", "snapshot", "timestamp") == published.publish(request)
    bundle = published.opened().bundle()
    assert bundle is not None
    assert looser == bundle.policy


def test_a_client_follows_what_people_signed(published: Ceremony, tmp_path: Path) -> None:
    """Also over a root of other people, from the first root on."""
    root, cache = published.root.to_bytes(), tmp_path / "cache"
    looser = policy(OLD, mode=Mode.REPORT_ONLY)
    first = followed(published.folder, root, cache, NOW)
    assert policy(OLD) == first.current()
    others = {name: signer_of(name) for name in ("dave", "erin", "frank")}
    rotated = published.staged(
        lambda one: one.rotate_keys("root", [signer.public_key for signer in others.values()])
    )
    published.people |= others
    published.publish(published.signed(rotated, "alice", "bob", "dave", "frank"))
    request = published.staged(
        lambda one: one.publish(looser, refresh=HOUR, rules=True), "alice", "bob"
    )
    denied = published.staged(lambda one: one.deny([KEY]), "bob", "carol")
    published.publish(request)
    with pytest.raises(UpdateError, match="of targets"):
        published.publish(denied)
    published.publish(published.staged(lambda one: one.deny([KEY]), "bob", "carol"))

    for client in (
        followed(published.folder, root, cache, NOW),
        followed(published.folder, root, tmp_path / "another", NOW),
    ):
        assert {KEY} == set(client.current().denied)
        assert Mode.REPORT_ONLY is client.current().pin_sets[0].mode


def test_below_the_threshold_nothing_is_published(published: Ceremony) -> None:
    """And nothing is written; the copies that were signed apart are enough together."""
    request = published.staged(_deny)
    before = _files(published.folder)
    alone = published.signed(request, "alice")

    with pytest.raises(UpdateError, match="1 missing, of bob, carol"):
        published.publish(alone)
    assert before == _files(published.folder)

    assert "emergency" in published.publish(alone, published.signed(request, "bob"))


def test_the_hourly_job_does_not_get_in_the_way(published: Ceremony) -> None:
    """Snapshot and timestamp may go on, and another role's documents too."""
    request = published.staged(_deny, "alice", "bob")
    Publisher.opened(published.folder, published.machine, NOW + 5 * DAY).resign()
    published.opened(NOW + 5 * DAY).publish(policy(NEW), refresh=HOUR)

    published.publish(request, now=NOW + 5 * DAY)

    assert 2 == next(one.version for one in published.opened().status() if one.role == "emergency")


def test_a_request_for_an_older_state_is_refused(published: Ceremony) -> None:
    """Somebody has published since; signing what went on would undo it."""
    request = published.staged(_deny, "alice", "bob")
    published.publish(published.signed(published.staged(_deny), "bob", "carol"))

    with pytest.raises(
        UpdateError, match="builds on version 1 of emergency, and version 2 is published"
    ):
        published.publish(request)


def test_a_request_of_another_repository_is_refused(
    published: Ceremony, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also where its versions are the same."""
    other = Ceremony(tmp_path_factory.mktemp("other"))

    with pytest.raises(UpdateError, match="builds on another root than is published here"):
        published.publish(other.staged(_deny, "alice", "bob"))


def test_a_repository_is_not_made_over_another(published: Ceremony) -> None:
    """A request for a new one does not fit where one is."""
    file = published.folder.with_name("first.json")
    Publisher.created(
        published.folder.with_name("another"), published.keys, PROFILES["saas"], NOW, file
    )

    with pytest.raises(UpdateError, match="is not empty"):
        published.publish(read_request(file))


def test_a_new_repository_of_others_is_refused(ceremony: Ceremony, tmp_path: Path) -> None:
    """It vouches for itself, so that it must have the keys of the cards that are listed here."""
    folder, file = tmp_path / "new", tmp_path / "first.json"
    keys = dict(ceremony.keys)
    Publisher.created(folder, keys, ceremony.opened().settings.roles, NOW, file)
    for name in ("alice", "bob", "dave"):
        signer = ceremony.people.get(name) or signer_of(name)
        add_card(folder / "cards", KeyCard(key=signer.public_key))
    settings = folder / "repository.toml"
    listed = ", ".join(f'"cards/{name}.card.json"' for name in ("alice", "bob", "dave"))
    text = settings.read_text()
    settings.write_text(text.replace("keys = 3", f"keys = [{listed}]", 1))

    with pytest.raises(UpdateError, match="makes another repository than is wanted here: root"):
        Publisher.publish_requests(folder, [read_request(file)], ceremony.machine, NOW)

    settings.write_text(text)
    assert Publisher.publish_requests(folder, [read_request(file)], ceremony.machine, NOW)


def test_a_request_that_lay_too_long_is_refused(published: Ceremony) -> None:
    """Clients would take it for expired."""
    request = published.staged(_deny, "alice", "bob")

    with pytest.raises(UpdateError, match="emergency has expired since it was staged"):
        published.publish(request, now=NOW + 181 * DAY)


def test_new_keys_leave_no_role_behind(published: Ceremony) -> None:
    """Metadata that the former keys have signed would lock clients out."""
    request = published.staged(lambda one: one.rotate_keys("pins", [signer_of("other").public_key]))
    without = replace(
        request,
        after={"targets": request.after["targets"]},
        before={"targets": request.before["targets"]},
    )

    with pytest.raises(UpdateError, match="pins would be signed by keys"):
        published.publish(published.signed(without, "alice", "bob"))


def test_a_new_epoch_is_published(published: Ceremony, tmp_path: Path) -> None:
    """Its serials begin anew, and clients take it."""
    root, cache = published.root.to_bytes(), tmp_path / "cache"
    published.opened().publish(policy(NEW), refresh=HOUR)
    assert 2 == followed(published.folder, root, cache, NOW).in_force.serial
    request = published.staged(lambda one: one.new_epoch(policy(OLD), refresh=HOUR), "alice", "bob")

    published.publish(request)

    in_force = followed(published.folder, root, cache, NOW).in_force
    assert (2, 1) == (in_force.epoch, in_force.serial)


def test_a_lower_epoch_is_refused(published: Ceremony) -> None:
    """Clients do not go back to one."""
    published.opened().new_epoch(policy(OLD), refresh=HOUR)
    request = published.staged(lambda one: one.resign(["targets"]))
    request.after["targets"].signed.unrecognized_fields[EPOCH_FIELD] = 1
    request.after["targets"].signatures.clear()

    with pytest.raises(UpdateError, match="of epoch 1, and epoch 2 is published"):
        published.publish(published.signed(request, "alice", "bob"))


def _with_bundle(
    request: Request, bundle: Bundle, role: str = "pins", path: str = PINS_TARGET
) -> Request:
    """Put another bundle into a request, as whoever has all the keys could."""
    content = bundle_to_bytes(bundle)
    metadata: Metadata[Targets] = request.after[role]
    target = TargetFile.from_data(path, content, ["sha256"])
    metadata.signed.targets[path] = target
    metadata.signatures.clear()
    tables = [*request.before.values(), *request.after.values()]
    listed = {one.hashes["sha256"] for table in tables for one in table.signed.targets.values()}
    files = {name: data for name, data in request.files.items() if name in listed}
    return replace(request, files={**files, target.hashes["sha256"]: content})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: replace(one, policy=policy(mode=Mode.REPORT_ONLY)), "more than pins changes"),
        (lambda one: replace(one, serial=1), "has serial 1, and 1 is published"),
    ],
)
def test_what_clients_would_refuse_is_refused(
    published: Ceremony, change: Callable[[Bundle], Bundle], told: str
) -> None:
    """Whoever has signed it."""
    request = published.staged(lambda one: one.publish(policy(NEW), refresh=HOUR))
    bundle = Bundle(serial=2, issued=NOW, refresh=HOUR, policy=policy(NEW))
    forged = _with_bundle(request, change(bundle))
    sign_request(forged, published.machine)

    with pytest.raises(UpdateError, match=told):
        published.publish(forged)


def test_a_candidate_is_no_measure(published: Ceremony) -> None:
    """Clients refuse one among what the offline keys sign."""
    looser = policy(OLD, mode=Mode.REPORT_ONLY)
    request = published.staged(lambda one: one.publish(looser, refresh=HOUR, rules=True))
    candidate = Candidate(policy=policy(NEW), basis_points=1, salt=bytes(SALT_BYTES))
    bundle = Bundle(serial=3, issued=NOW, refresh=HOUR, policy=looser, candidate=candidate)
    forged = _with_bundle(request, bundle, "targets", POLICY_TARGET)
    sign_request(forged, published.machine)

    with pytest.raises(UpdateError, match="has a candidate"):
        published.publish(published.signed(forged, "alice", "bob"))


def test_the_first_policy_takes_the_offline_keys(ceremony: Ceremony) -> None:
    """Without rules there is nothing to measure pins by."""
    request = ceremony.staged(lambda one: one.publish(policy(NEW), refresh=HOUR, rules=True))
    alone = replace(
        request,
        after={"pins": request.after["pins"]},
    )

    with pytest.raises(UpdateError, match="the first policy needs the keys of `targets`"):
        ceremony.publish(alone)


def test_the_online_keys_are_needed_too(published: Ceremony) -> None:
    """Snapshot and timestamp are signed where it is published; without them nothing is written."""
    request = published.staged(_deny, "alice", "bob")
    before = _files(published.folder)

    with pytest.raises(UpdateError, match="snapshot takes 1 of its 1 keys"):
        Publisher.publish_requests(published.folder, [request], {}, NOW)

    assert before == _files(published.folder)


def test_new_keys_of_the_machine_are_needed_at_once(published: Ceremony) -> None:
    """Root says whose they are, so that the former ones sign nothing any more."""
    fresh = signer_of("timestamp-2")
    request = published.staged(
        lambda one: one.rotate_keys("timestamp", [fresh.public_key]), "alice", "bob"
    )

    with pytest.raises(UpdateError, match=r"timestamp takes 1 of its 1 keys.*of timestamp-2"):
        published.publish(request)
    machine = published.machine | by_id(fresh)
    signed = Publisher.publish_requests(published.folder, [request], machine, NOW)

    assert ("root", *ONLINE) == signed
    # The new root comes last: until then the timestamp verifies under the former one.
    timestamp = Metadata.from_file(str(published.folder / "metadata" / "timestamp.json"))
    published.root.signed.verify_delegate("timestamp", timestamp.signed_bytes, timestamp.signatures)


@pytest.mark.parametrize("step", ["before the new root", "after it"])
def test_new_keys_of_targets_stop_no_refresh(
    published: Ceremony, tmp_path: Path, step: str
) -> None:
    """Whichever root a client has come to: the former keys have signed too."""
    fresh = [signer_of(name) for name in ("dave", "erin", "frank")]
    request = published.staged(
        lambda one: one.rotate_keys("targets", [signer.public_key for signer in fresh]),
        "alice",
        "bob",
    )
    sign_request(request, by_id(*fresh))
    root = published.root.to_bytes()

    assert ("root", "targets", *ONLINE) == published.publish(request)

    if step == "before the new root":
        (published.folder / "metadata" / "2.root.json").unlink()
    client = followed(published.folder, root, tmp_path / "cache", NOW)
    assert policy(OLD) == client.current()


def test_status_says_what_the_file_wants_otherwise(published: Ceremony) -> None:
    """Signed metadata count until the keys are rotated."""
    settings = published.folder / "repository.toml"
    assert not any(one.differs for one in published.opened().status())
    text = settings.read_text()
    settings.write_text(text.replace("threshold = 2\nkeys = 3", "threshold = 3\nkeys = 4", 1))

    differs = {one.role: one.differs for one in published.opened().status() if one.differs}

    assert {
        "root": (
            "its threshold is 2, by repository.toml 3",
            "it has 3 keys, by repository.toml 4",
        )
    } == differs


def test_status_compares_cards(published: Ceremony) -> None:
    """By the keys on them; a card that is missing is told with its file."""
    settings = published.folder / "repository.toml"
    cards = published.folder / "cards"
    for name in ("alice", "bob", "dave"):
        signer = published.people.get(name) or signer_of(name)
        add_card(cards, KeyCard(key=signer.public_key))
    listed = '["cards/alice.card.json", "cards/bob.card.json", "cards/dave.card.json"]'
    settings.write_text(settings.read_text().replace("keys = 3", f"keys = {listed}", 1))

    (differs,) = [one.differs for one in published.opened().status() if one.role == "root"]
    assert (
        "its keys are those of alice, bob, carol, by repository.toml of alice, bob, dave",
    ) == differs

    (cards / "dave.card.json").unlink()
    with pytest.raises(PolicyError, match=r"dave\.card\.json"):
        published.opened().status()
