import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from holdfast.errors import PolicyError, UpdateError
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Trust
from holdfast.updates.host_bins import INDEX_TARGET
from holdfast.updates.host_index import HostIndex
from holdfast.updates.host_publisher import HostPublisher
from holdfast.updates.publisher import Publisher
from holdfast.updates.repository import Repository
from holdfast.updates.staged_repository import read_request
from tests.updates.host_repository import (
    HOUR,
    OF_THE_SET,
    RULES,
    SET,
    HostRepository,
    host,
    pins,
    policy_of,
    rule,
)
from tests.updates.origin import Origin

A, B = host(1), host(2)
MANY = {host(number): pins(f"first {number}") for number in range(1200)}


@pytest.fixture
def repository(tmp_path: Path, serve: Callable[..., Origin]) -> HostRepository:
    """A repository of a policy without host pins."""
    return HostRepository(tmp_path / "repository", serve({}))


def published(repository: HostRepository) -> dict[str, HostPins]:
    """Return all host pins as the publisher reads them."""
    opened = Repository.opened(repository.folder, {}, repository.now)
    return dict(HostPublisher(opened).hosts())


def files(repository: HostRepository, pattern: str = "metadata/*.hosts-*.json") -> set[str]:
    """Return the names of some files."""
    return {path.name for path in repository.folder.glob(pattern)}


def index_of(repository: HostRepository) -> HostIndex:
    """Open the file of all hosts."""
    opened = Repository.opened(repository.folder, {}, repository.now)
    return HostIndex(opened.path_of("pins", INDEX_TARGET), "0" * 64)


def test_only_changed_bins_are_signed(repository: HostRepository) -> None:
    """One host, one bin: whichever way it is given; and its serial is its own."""
    first = repository.publish(MANY)
    assert (2, 1200, 8, False) == (first.serial, first.hosts, first.bins, first.has_index)
    assert 8 == len(files(repository))

    again = repository.publish({**MANY, A: pins("second")})
    assert (3, 1200, 1) == (again.serial, again.hosts, again.bins)
    change = repository.publish({A: pins("third"), B: MANY[B]}, changes=True)
    assert (4, 1200, 1) == (change.serial, change.hosts, change.bins)
    assert {**MANY, A: pins("third")} == published(repository)
    assert {f"{version}.{repository.role_of(A)}.json" for version in (1, 2, 3)} == {
        name for name in files(repository) if repository.role_of(A) in name
    }


def test_hosts_come_and_go(repository: HostRepository) -> None:
    """A host that is not there can be removed all the same, and all of them can."""
    repository.publish({A: pins("a"), B: pins("b")})

    done = repository.publish({A: None, host(3): None, host(4): pins("c")}, changes=True)
    assert 2 == done.hosts
    assert {B: pins("b"), host(4): pins("c")} == published(repository)
    assert 0 == repository.publish({}).hosts
    assert {} == published(repository)


def test_changes_may_come_first(repository: HostRepository) -> None:
    """Changes of nothing are the first hosts."""
    assert 1 == repository.publish({A: pins("a"), B: None}, changes=True).hosts
    assert {A: pins("a")} == published(repository)


def test_more_hosts_get_more_bins(repository: HostRepository) -> None:
    """Under other names, and the former ones stay in the snapshot."""
    repository.publish({A: pins("a")})
    assert 2 == len(files(repository))

    done = repository.publish(MANY, changes=True)

    assert (1200, 8) == (done.hosts, done.bins)
    assert MANY == published(repository)
    meta = repository.metadata("snapshot").signed.meta
    assert {"hosts-1-0.json", "hosts-1-1.json", "hosts-3-0.json"} <= meta.keys()


def test_the_file_of_all_hosts_is_kept_up_to_date(repository: HostRepository) -> None:
    """Once it is there, until it is taken away; its changes are those of the bins."""
    repository.publish(MANY, index=True)
    assert MANY == dict(index_of(repository))

    assert repository.publish({A: pins("second"), B: None}, changes=True).has_index
    expected = {**MANY, A: pins("second")}
    del expected[B]
    assert expected == dict(index_of(repository)) == published(repository)
    assert repository.publish(MANY).has_index
    assert MANY == dict(index_of(repository))
    assert not repository.publish({A: pins("a")}, changes=True, index=False).has_index
    assert repository.publish({B: pins("b")}, changes=True, index=True).has_index
    assert {**MANY, A: pins("a"), B: pins("b")} == dict(index_of(repository))
    assert not repository.publish(MANY, index=False).has_index
    assert not (repository.folder / ".draft").exists()


def test_a_change_of_nothing_leaves_the_file(repository: HostRepository) -> None:
    """Gateways do not fetch a hundred megabytes for it."""
    repository.publish(MANY, index=True)
    before = files(repository, "targets/pins/*.sqlite")

    assert 0 == repository.publish({A: MANY[A]}, changes=True).bins
    assert before == files(repository, "targets/pins/*.sqlite")


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("a.example.org", pins("a"), "no set of the policy covers the host"),
        (A, HostPins(leaf=(Pin.of_spki(b"a"),)), "an enforced set needs a way out"),
    ],
)
def test_what_clients_would_refuse_is_not_published(
    repository: HostRepository, name: str, given: HostPins, told: str
) -> None:
    """Or would never look at."""
    for changes in (True, False):
        with pytest.raises(PolicyError, match=told):
            repository.publish({name: given}, changes=changes)
    assert set() == files(repository)


def test_a_policy_that_the_hosts_do_not_fit_is_not_published(repository: HostRepository) -> None:
    """With the offline keys either: the clients of those hosts would stop at it."""
    ca = HostPins(ca=(Pin.of_spki(b"one"), Pin.of_spki(b"another")))
    repository.publish({A: ca})
    stricter = replace(SET, trust=Trust.PINS_ONLY)
    moved = replace(SET, hosts=(HostPattern.parse("**.example.org"),))

    for other, told in ((stricter, "cannot check a CA"), (moved, "no set of the policy covers")):
        with pytest.raises(PolicyError, match=told):
            repository.publisher().publish(policy_of(other), refresh=HOUR, rules=True)
    repository.publish({A: None}, changes=True)
    repository.publisher().publish(policy_of(stricter), refresh=HOUR, rules=True)


def test_host_pins_take_a_policy_and_the_keys_of_pins(
    tmp_path: Path, repository: HostRepository
) -> None:
    """Nothing is written without."""
    empty = Publisher.created(tmp_path / "empty", repository.keys, RULES, repository.now)
    with pytest.raises(UpdateError, match="no policy yet"):
        empty.publish_hosts({}, changes=False)

    without = {
        one.public_key.keyid: one
        for role, several in repository.keys.items()
        for one in several
        if role != "pins"
    }
    for changes in (False, True):
        opened = Publisher.opened(repository.folder, without, repository.now)
        with pytest.raises(UpdateError, match="pins takes 1 of its 1 keys"):
            opened.publish_hosts({A: pins("a")}, changes=changes)
    assert set() == files(repository)


def test_bins_are_signed_again_in_time(repository: HostRepository) -> None:
    """In the last third of their year, those that are due, and with them the role `pins`."""
    repository.publish(MANY)
    repository.now += timedelta(days=200)
    repository.publish({A: pins("second")}, changes=True)
    online = {
        one.public_key.keyid: one
        for role in ("pins", "snapshot", "timestamp")
        for one in repository.keys[role]
    }

    def resign() -> tuple[str, ...]:
        return Publisher.opened(repository.folder, online, repository.now).resign()

    assert "pins" not in resign()
    repository.now += timedelta(days=50)
    assert "pins" in resign()
    versions = {name.partition(".")[0] for name in files(repository)}
    assert 8 + 1 + 7 == len(files(repository))
    assert {"1", "2"} == versions
    assert "pins" not in resign()
    repository.now += timedelta(days=250)
    assert {"pins", "snapshot", "timestamp"} <= set(resign())
    for role in (repository.role_of(A), repository.role_of(B)):
        signed = repository.metadata(role).signed
        assert repository.now + timedelta(days=365) == signed.expires


@pytest.mark.parametrize("roles", [(), ("targets",)])
def test_new_keys_of_pins_are_not_staged_without_the_bins(
    repository: HostRepository, tmp_path: Path, roles: tuple[str, ...]
) -> None:
    """No request has them, and they would stay with the former keys."""
    repository.publish({A: pins("a")})
    file = tmp_path / "request.json"
    here = {one.public_key.keyid: one for role in roles for one in repository.keys[role]}
    staged = Publisher.opened(repository.folder, here, repository.now, file)

    with pytest.raises(UpdateError, match="cannot be signed by request"):
        staged.rotate_keys("pins", [CryptoSigner.generate_ed25519()])

    assert not file.exists()


def test_bins_that_others_have_published_stay(repository: HostRepository, tmp_path: Path) -> None:
    """What is refused is served to nobody, although bins are written before the snapshot."""
    repository.publish({A: pins("a")})
    late = repository.publisher()
    repository.publish({A: pins("others")}, changes=True)

    with pytest.raises(UpdateError, match="others have published"):
        late.publish_hosts({A: pins("late")}, changes=True)

    repository.serve()
    client = repository.client(tmp_path / "cache", A)
    assert client.refresh().succeeded
    assert pins("others") == rule(client, A)


def test_no_request_leaves_the_bins_with_former_keys(
    repository: HostRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it was made; one of other roles is published beside bins."""
    repository.publish({A: pins("a")})
    file, other, fresh = tmp_path / "1.json", tmp_path / "2.json", CryptoSigner.generate_ed25519()
    signers = {**repository.signers, fresh.public_key.keyid: fresh}
    with monkeypatch.context() as patched:
        patched.setattr(HostPublisher, "sign_again", lambda _: 0)
        staged = Publisher.opened(repository.folder, signers, repository.now, file)
        staged.rotate_keys("pins", [fresh])

    with pytest.raises(UpdateError, match="would stay with the former keys"):
        Publisher.publish_requests(repository.folder, [read_request(file)], signers, repository.now)

    Publisher.opened(repository.folder, signers, repository.now, other).resign(["targets", "pins"])
    request = read_request(other)
    assert ("targets", "pins", "snapshot", "timestamp") == Publisher.publish_requests(
        repository.folder, [request], signers, repository.now
    )
    repository.serve()
    client = repository.client(tmp_path / "cache", A)
    assert client.refresh().succeeded
    assert pins("a") == rule(client, A)


@pytest.mark.parametrize("missing", ["targets", "snapshot"])
def test_new_keys_of_pins_sign_no_bin_in_vain(repository: HostRepository, missing: str) -> None:
    """Where the keys of another role are missing nothing is written."""
    repository.publish({A: pins("a")})
    before = files(repository)
    here = {
        one.public_key.keyid: one
        for role, several in repository.keys.items()
        for one in several
        if role != missing
    }
    opened = Publisher.opened(repository.folder, here, repository.now)

    with pytest.raises(UpdateError, match=f"{missing} takes 1"):
        opened.rotate_keys("pins", [CryptoSigner.generate_ed25519()])

    assert before == files(repository)


def test_without_bins_there_is_nothing_to_sign_again(repository: HostRepository) -> None:
    """Neither when it is time, nor with new keys."""
    assert (
        0
        == HostPublisher(
            Repository.opened(repository.folder, repository.signers, repository.now)
        ).sign_again()
    )


@pytest.mark.parametrize("damage", ["missing", "torn", "emptied", "mistaken"])
def test_a_damaged_bin_is_told(repository: HostRepository, damage: str) -> None:
    """With its path and what to do; nothing is published from what is left, and all anew mends."""
    repository.publish(MANY)
    role = repository.role_of(A)
    path = repository.folder / "metadata" / f"1.{role}.json"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        metadata = Metadata[Targets].from_file(str(path))
        table = metadata.signed.unrecognized_fields["x-holdfast-hosts"]
        table[A] = {}
        if damage == "emptied":
            metadata.signed.unrecognized_fields.clear()
        metadata.to_file(str(path))

    with pytest.raises(UpdateError, match=role):
        published(repository)
    if damage != "mistaken":
        with pytest.raises(UpdateError, match=role):
            repository.publish({A: pins("second")}, changes=True)
    assert 1 == repository.publish(MANY).bins
    assert MANY == published(repository)


def _failing_at(stop: int) -> Callable[[Path, Path], Path]:
    replace_file, steps = Path.replace, iter(range(100))

    def full(path: Path, target: Path) -> Path:
        if next(steps) == stop:
            raise OSError(28, "No space left on device")
        return replace_file(path, target)

    return full


def test_an_interrupted_publication_leaves_the_old_one(
    tmp_path: Path, repository: HostRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stops; and publishing again mends it."""
    repository.publish(MANY, index=True)
    change = {host(number): pins(f"second {number}") for number in range(4)}
    stop = 0
    while True:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", _failing_at(stop))
            try:
                repository.publisher().publish_hosts(change, changes=True)
            except OSError:
                stop += 1
            else:
                break
        repository.serve()
        for client in (
            repository.client(tmp_path / "some", A),
            repository.client(tmp_path / "every", every_host=True),
        ):
            assert client.refresh().succeeded
            assert (MANY[A], ()) == (rule(client, A), client.in_force.notes)
        assert not (repository.folder / ".draft").exists()
    assert stop > 5
    repository.serve()
    client = repository.client(tmp_path / "every", A)
    assert client.refresh().succeeded
    assert change[A] == rule(client, A)
    assert OF_THE_SET == rule(client, host(5000))


def test_what_was_replaced_is_served_for_a_day(repository: HostRepository) -> None:
    """Then it goes, but for what is in force; what another publication began is left alone."""
    repository.publish({A: pins("0")}, index=True)
    role = repository.role_of(A)
    for turn in range(1, 4):
        repository.publish({A: pins(str(turn))}, changes=True)
    (repository.folder / "metadata" / f"9.{role}.json").write_bytes(b"begun")
    assert 4 == len(files(repository, "targets/pins/*.sqlite"))

    # Of four versions three were replaced, two of them long ago.
    for path in [
        *repository.folder.glob(f"metadata/[123].{role}.json"),
        *sorted(repository.folder.glob("targets/pins/*.sqlite"), key=_age)[:3],
    ]:
        os.utime(path, (0, path.stat().st_mtime - 90_000))
    repository.publish({A: pins("4")}, changes=True)

    numbers = {name.partition(".")[0] for name in files(repository) if role in name}
    assert {"3", "4", "5", "9"} == numbers
    assert 3 == len(files(repository, "targets/pins/*.sqlite"))
    assert {A: pins("4")} == published(repository) == dict(index_of(repository))


def _age(path: Path) -> float:
    return path.stat().st_mtime


def test_publishing_hosts_keeps_a_candidate(tmp_path: Path, repository: HostRepository) -> None:
    """They are the same for both parts, whose rules are the same."""
    other = replace(SET, leaf=(Pin.of_spki(b"of the candidate"),))
    repository.publisher().roll_out(policy_of(other), basis_points=10_000, refresh=HOUR)
    before = repository.publisher().bundle()
    repository.publish({A: pins("a")}, index=True)

    after = repository.publisher().bundle()
    assert before is not None
    assert replace(before, serial=before.serial + 1) == after
    for turn, settings in enumerate(((A,), ())):
        client = repository.client(tmp_path / str(turn), *settings, every_host=not settings)
        assert client.refresh().succeeded
        assert pins("a") == rule(client, A)
        assert HostPins(leaf=other.leaf, backup=other.backup) == rule(client, B)
