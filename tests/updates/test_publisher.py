from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Unlisted
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.document import PINS_TARGET, bundle_to_bytes
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES, ROLES
from holdfast.updates.roll_out import is_chosen
from holdfast.updates.weakening import Kind
from tests.updates.origin import Origin
from tests.updates.signed_repository import NOW
from tests.updates.test_client import NEW, OLD, STOLEN, policy

HOUR = timedelta(hours=1)
OTHER = Pin.of_spki(b"other")
Keys = dict[str, list[Signer]]


@pytest.fixture
def keys() -> Keys:
    """All keys of the profile for two people."""
    return {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in PROFILES["small"].items()
    }


@pytest.fixture
def folder(tmp_path: Path, keys: Keys) -> Path:
    """A repository without a policy."""
    Publisher.created(tmp_path / "repository", keys, PROFILES["small"], NOW)
    return tmp_path / "repository"


Opened = Callable[..., Publisher]


@pytest.fixture
def opened(folder: Path, keys: Keys) -> Opened:
    """Return a function that opens the repository with the keys of some roles, or with all."""

    def make(*roles: str, later: timedelta = timedelta()) -> Publisher:
        signers = [one for role in roles or keys for one in keys[role]]
        return Publisher.opened(folder, {one.public_key.keyid: one for one in signers}, NOW + later)

    return make


@pytest.fixture
def client(
    folder: Path, opened: Opened, serve: Callable[..., Origin], tmp_path: Path
) -> UpdateClient:
    """A client without a seed that follows what is published, as a web server would serve it."""
    origin = serve({})

    def publish_to_origin() -> None:
        origin.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    class Following(UpdateClient):
        def _renew(self) -> None:
            publish_to_origin()
            super()._renew()

    return Following(
        [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
        root=opened().root,
        cache=Cache(tmp_path / "cache"),
        clock=lambda: NOW,
    )


def test_what_is_published_is_in_force(opened: Opened, client: UpdateClient) -> None:
    """The first policy is signed by the offline keys too, later pins by the online ones alone."""
    first = opened().publish(policy(OLD), refresh=HOUR, rules=True)
    assert client.refresh().succeeded
    assert policy(OLD) == client.current()

    online = opened("pins", "snapshot", "timestamp")
    second = online.publish(policy(OLD, NEW), refresh=HOUR)

    assert client.refresh().succeeded
    assert policy(OLD, NEW) == client.current()
    assert (1, 2) == (first.serial, second.serial)
    assert [Kind.PINS] == [change.kind for change in second.changes]
    assert ("pins", "snapshot", "timestamp") == second.signed
    assert HOUR == client.in_force.refresh


def test_a_denied_key_reaches_clients(opened: Opened, client: UpdateClient) -> None:
    """Denials add up."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    emergency = ("emergency", "snapshot", "timestamp")
    opened(*emergency).deny([OLD])
    after = opened(*emergency).deny([Pin.of_spki(b"another")])

    assert client.refresh().succeeded
    assert OLD in client.current().denied
    assert 2 == len(after.denied)


def test_more_than_pins_takes_the_offline_keys(opened: Opened, client: UpdateClient) -> None:
    """The online machine cannot publish what clients would refuse, by mistake or otherwise."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    looser = policy(OLD, mode=Mode.REPORT_ONLY)

    with pytest.raises(UpdateError, match="mode"):
        opened("pins", "snapshot", "timestamp").publish(looser, refresh=HOUR)
    with pytest.raises(UpdateError, match="targets takes 1 of its 2 keys, and 0 are here"):
        opened("pins", "snapshot", "timestamp").publish(looser, refresh=HOUR, rules=True)
    assert client.refresh().succeeded
    assert policy(OLD) == client.current()

    stricter = replace(policy(OLD), unlisted=Unlisted.REFUSE)
    done = opened().publish(stricter, refresh=HOUR, rules=True)
    assert "targets" in done.signed
    assert client.refresh().succeeded
    assert stricter == client.current()


def test_break_glass_reaches_clients_and_is_taken_back(
    opened: Opened, client: UpdateClient
) -> None:
    """A set is report-only until then, or until the next list."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    until = NOW + timedelta(days=2)
    opened("breakglass", "snapshot", "timestamp").break_glass({"api": until})
    assert client.refresh().succeeded
    assert until == client.current().pin_sets[0].report_only_until

    after = opened().break_glass({})
    assert client.refresh().succeeded
    assert client.current().pin_sets[0].report_only_until is None
    assert 2 == after.serial


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ({"api": NOW + timedelta(days=8)}, "7 days"),
        ({"nothing": NOW + HOUR}, "no set of this name"),
    ],
)
def test_break_glass_without_effect_is_not_published(
    opened: Opened, until: dict[str, datetime], told: str
) -> None:
    """Whoever needs it learns at once that it would not help."""
    with pytest.raises(UpdateError, match="no policy yet"):
        opened().break_glass(until)
    opened().publish(policy(OLD), refresh=HOUR, rules=True)

    with pytest.raises(UpdateError, match=told):
        opened().break_glass(until)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_new_keys(opened: Opened, client: UpdateClient, keys: Keys, role: str) -> None:
    """A client that knows the first root follows, and the old keys sign nothing any more."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    assert client.refresh().succeeded
    former = keys[role]
    fresh: list[Signer] = [CryptoSigner.generate_ed25519() for _ in former]

    signed = opened().rotate_keys(role, fresh)
    keys[role] = fresh
    opened().publish(policy(NEW), refresh=HOUR)

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()
    assert role in signed
    (status,) = [one for one in opened().status() if one.role == role]
    assert (len(fresh), len(fresh)) == (status.keys, status.at_hand)
    keys[role] = former
    (status,) = [one for one in opened().status() if one.role == role]
    assert 0 == status.at_hand


def test_new_keys_take_those_who_may_give_them(opened: Opened, keys: Keys) -> None:
    """The online machine gives itself none, and nothing is published half."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    fresh: list[Signer] = [CryptoSigner.generate_ed25519()]

    for role, owner in (("pins", "targets"), ("timestamp", "root")):
        with pytest.raises(UpdateError, match=f"{owner} takes 1 of its 2 keys"):
            opened("pins", "snapshot", "timestamp").rotate_keys(role, fresh)
    with pytest.raises(UpdateError, match="root has 2 keys, and 1 are new"):
        opened().rotate_keys("root", fresh)
    assert 2 == opened().publish(policy(NEW), refresh=HOUR).serial


def test_signing_again_keeps_a_repository_fresh(opened: Opened, client: UpdateClient) -> None:
    """The timestamp each time, the rest in the last third of its time, if its keys are here."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    online = ("pins", "snapshot", "timestamp")

    assert ("timestamp",) == opened(*online, later=HOUR).resign()
    days = timedelta(days=10)
    assert ("pins", "snapshot", "timestamp") == opened(*online, later=days).resign()
    status = {one.role: one for one in opened(*online, later=days).status()}
    assert NOW + days + timedelta(days=7) == status["timestamp"].expires
    assert NOW + timedelta(days=180) == status["targets"].expires
    assert (2, 0) == (status["targets"].keys, status["targets"].at_hand)


def test_a_root_that_expires_is_signed_again(
    opened: Opened, client: UpdateClient, keys: Keys
) -> None:
    """Where its keys are; otherwise it is left alone, and clients that come later are kept out."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    nearly = timedelta(days=300)

    assert "root" not in opened("targets", "snapshot", "timestamp", later=nearly).resign()
    assert ("root", "timestamp") == opened("root", "timestamp", later=nearly).resign()
    (status,) = [one for one in opened().status() if one.role == "root"]
    assert (2, NOW + nearly + timedelta(days=365)) == (status.version, status.expires)
    assert client.refresh().succeeded


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_rotation_is_signed_by_the_former_keys_too(
    folder: Path, opened: Opened, keys: Keys, role: str
) -> None:
    """Under the root of before and the new one: which of them a client has does not matter."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    former = {one.public_key.keyid for one in keys[role]}
    fresh: list[Signer] = [CryptoSigner.generate_ed25519() for _ in keys[role]]
    opened().rotate_keys(role, fresh)
    version = {one.role: one.version for one in opened().status()}[role]
    file = folder / "metadata" / f"{'' if role == 'timestamp' else f'{version}.'}{role}.json"

    signed_by = set(Metadata.from_file(str(file)).signatures)
    assert len(signed_by & former) == len(signed_by - former) == 1

    keys[role] = fresh
    opened().publish(policy(NEW), refresh=HOUR, rules=True)
    again = Metadata.from_file(str(folder / "metadata" / "timestamp.json")).signatures
    assert 1 == len(again)


LAST = 2**63 - 1


def _use_up_serials(folder: Path, opened: Opened) -> None:
    """Publish the last serial there is, as whoever has stolen the online keys can."""
    publisher = opened("pins", "snapshot", "timestamp")
    bundle = publisher.bundle()
    assert bundle is not None
    content = bundle_to_bytes(replace(bundle, serial=LAST, policy=policy(STOLEN)))
    publisher._repository.put("pins", PINS_TARGET, content)
    publisher._repository.write(("pins", "snapshot", "timestamp"))


def test_a_new_epoch_undoes_a_serial(folder: Path, opened: Opened, client: UpdateClient) -> None:
    """No serial is above the thief's, and clients take the first one of the next epoch."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    _use_up_serials(folder, opened)
    assert client.refresh().succeeded
    assert (LAST, policy(STOLEN)) == (client.in_force.serial, client.current())
    with pytest.raises(UpdateError, match="new-epoch"):
        opened().publish(policy(NEW), refresh=HOUR)

    done = opened().new_epoch(policy(NEW), refresh=HOUR)

    assert client.refresh().succeeded
    assert (2, 1) == (client.in_force.epoch, client.in_force.serial)
    assert policy(NEW) == client.current()
    assert (1, 2) == (done.serial, opened().epoch)
    assert 2 == opened("pins", "snapshot", "timestamp").publish(policy(OLD), refresh=HOUR).serial
    assert client.refresh().succeeded
    assert policy(OLD) == client.current()


def test_a_new_epoch_drops_a_candidate(opened: Opened) -> None:
    """It is told, unless it becomes the policy of the epoch."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    candidate = opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR).candidate

    assert candidate == opened().new_epoch(policy(OLD), refresh=HOUR).dropped
    opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR)
    assert opened().new_epoch(policy(NEW), refresh=HOUR).dropped is None


def test_a_new_epoch_lifts_denials(opened: Opened, client: UpdateClient) -> None:
    """Those that are named, at a client that remembers them; the others hold in it."""
    other = Pin.of_spki(b"another")
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().deny([OLD, other])
    assert client.refresh().succeeded
    assert {OLD, other} == set(client.current().denied)

    done = opened().new_epoch(policy(OLD), refresh=HOUR, lift=[OLD])

    assert "emergency" in done.signed
    assert client.refresh().succeeded
    assert (other,) == client.current().denied
    opened().new_epoch(policy(OLD), refresh=HOUR)
    assert client.refresh().succeeded
    assert (other,) == client.current().denied


def test_what_a_new_epoch_takes(opened: Opened) -> None:
    """The offline keys, those of emergency for a denial, and a denial to be lifted."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().deny([OLD])
    online = ("pins", "snapshot", "timestamp")

    for roles, lift, told in (
        (online, [], "targets takes 1 of its 2 keys"),
        ((*online, "targets"), [OLD], "emergency takes 1 of its 2 keys"),
        ((), [NEW], "is not denied"),
    ):
        with pytest.raises(UpdateError, match=told):
            opened(*roles).new_epoch(policy(OLD), refresh=HOUR, lift=lift)
    with pytest.raises(UpdateError, match="stands in `denied` of the policy"):
        opened().new_epoch(replace(policy(NEW), denied=(OLD,)), refresh=HOUR, lift=[OLD])
    assert 1 == opened().epoch


@pytest.mark.parametrize("profile", PROFILES)
def test_each_role_is_signed_as_its_profile_says(tmp_path: Path, profile: str) -> None:
    """The threshold of each, and no more signatures than that."""
    rules = PROFILES[profile]
    made = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in rules.items()
    }
    Publisher.created(tmp_path / "made", made, rules, NOW)

    for role, rule in rules.items():
        version = "" if role == "timestamp" else "1."
        file = tmp_path / "made" / "metadata" / f"{version}{role}.json"
        assert rule.threshold == len(Metadata.from_file(str(file)).signatures)
        assert 0o644 == file.stat().st_mode & 0o777


def test_nothing_that_was_served_is_changed(folder: Path, opened: Opened) -> None:
    """A client in the middle of a refresh finds what its snapshot speaks of."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    opened().publish(policy(OLD, NEW), refresh=HOUR)

    changed = {path.name for path, content in before.items() if content != path.read_bytes()}
    assert {"timestamp.json"} == changed


def test_an_interrupted_publication_leaves_the_old_one(
    opened: Opened, client: UpdateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was served is whole, and publishing again mends it."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    replace_file, steps = Path.replace, iter(range(100))

    def full(path: Path, target: Path) -> Path:
        if next(steps) == 2:
            raise OSError(28, "No space left on device")
        return replace_file(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="space"):
            opened().publish(policy(NEW), refresh=HOUR)
    assert client.refresh().succeeded
    assert policy(OLD) == client.current()

    assert 2 == opened().publish(policy(NEW), refresh=HOUR).serial
    assert client.refresh().succeeded
    assert policy(NEW) == client.current()


def test_a_folder_that_is_in_use_is_left_alone(folder: Path, keys: Keys) -> None:
    """A repository is never made over another."""
    with pytest.raises(UpdateError, match="not empty"):
        Publisher.created(folder, keys, PROFILES["small"], NOW)


def test_what_is_no_repository_is_told(tmp_path: Path, folder: Path) -> None:
    """With how one is made; a damaged one too."""
    (folder / "metadata" / "timestamp.json").write_text("{}")
    for path in (tmp_path / "nothing", folder):
        with pytest.raises(UpdateError, match="updates init"):
            Publisher.opened(path, {}, NOW)


def test_before_the_first_there_is_no_bundle(opened: Opened) -> None:
    """And afterwards it is what was published."""
    assert opened().bundle() is None
    opened().publish(policy(NEW), refresh=HOUR, rules=True)
    bundle = opened().bundle()

    assert bundle is not None
    assert policy(NEW) == bundle.policy
    assert 1 == opened().epoch


def test_a_candidate_keeps_its_salt(opened: Opened, client: UpdateClient) -> None:
    """As long as it is the same policy: clients that have it keep it when the share grows."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    online = ("pins", "snapshot", "timestamp")
    salts = []
    for content, share in ((NEW, 10), (NEW, 10_000), (NEW, 0), (OTHER, 0)):
        done = opened(*online).roll_out(policy(content), basis_points=share, refresh=HOUR)
        assert done.candidate is not None
        salts.append(done.candidate.salt)
        assert (online, [Kind.PINS]) == (done.signed, [change.kind for change in done.changes])
        assert client.refresh().succeeded
        followed = content if is_chosen(done.candidate, client.installation) else OLD
        assert policy(followed) == client.current()

    assert [1, 1, 1, 2] == [len(set(salts[: place + 1])) for place in range(4)]


def test_what_is_promoted_is_no_candidate_any_more(opened: Opened, client: UpdateClient) -> None:
    """Who had it has it still, and the others get it."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    opened().roll_out(policy(NEW), basis_points=10_000, refresh=HOUR)
    assert client.refresh().succeeded
    assert client.in_force.is_candidate
    opened().publish(policy(NEW), refresh=HOUR)
    assert client.refresh().succeeded

    published = opened().bundle()
    assert published is not None
    assert (policy(NEW), None) == (published.policy, published.candidate)
    assert (policy(NEW), False) == (client.current(), client.in_force.is_candidate)


def test_a_candidate_that_clients_would_refuse_is_not_published(opened: Opened) -> None:
    """Nor one beside nothing, nor one that changes nothing."""
    with pytest.raises(UpdateError, match="no stable policy"):
        opened().roll_out(policy(NEW), basis_points=1, refresh=HOUR)
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    for content, told in ((policy(OLD), "says already"), (policy(mode=Mode.REPORT_ONLY), "mode")):
        with pytest.raises(UpdateError, match=told):
            opened().roll_out(content, basis_points=1, refresh=HOUR)

    published = opened().bundle()
    assert published is not None
    assert (1, None) == (published.serial, published.candidate)
