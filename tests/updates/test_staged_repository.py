from pathlib import Path

import pytest

from holdfast.errors import PolicyError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.publisher import Publisher
from holdfast.updates.repository import Repository
from holdfast.updates.request import MAX_REQUEST_BYTES
from holdfast.updates.roles import ROLES
from holdfast.updates.signing import sign_request
from holdfast.updates.staged_repository import read_request, write_request
from tests.updates.ceremony import HOUR, Ceremony, by_id, signer_of
from tests.updates.seeded import NEW, OLD, policy
from tests.updates.signed_repository import NOW

KEY = Pin.of_spki(b"stolen")


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_published_by_staging(ceremony: Ceremony) -> None:
    """Whatever is asked for; the keys at hand have signed already."""
    ceremony.opened().publish(policy(OLD), refresh=HOUR, rules=True)
    before = _files(ceremony.folder)

    denied = ceremony.staged(lambda one: one.deny([KEY]))
    pins = ceremony.staged(lambda one: one.publish(policy(NEW), refresh=HOUR))
    ceremony.staged(lambda one: one.break_glass({}))
    ceremony.staged(lambda one: one.resign(["root", "targets"]))

    assert before == _files(ceremony.folder)
    assert {"emergency"} == denied.after.keys()
    assert {"emergency", "targets"} == denied.before.keys()
    assert 0 == len(denied.after["emergency"].signatures)
    assert 1 == len(pins.after["pins"].signatures)


def test_new_keys_are_staged_with_what_they_sign(ceremony: Ceremony) -> None:
    """Whose the role is and the role itself; a key that is here signs at once."""
    fresh = signer_of("pins-2")
    request = ceremony.staged(lambda one: one.rotate_keys("pins", [fresh]), machine=False)

    assert {"targets", "pins"} == request.after.keys()
    assert by_id(fresh).keys() == request.after["pins"].signatures.keys()
    ceremony.publish(ceremony.signed(request, "alice", "bob"))
    (status,) = [one for one in ceremony.opened().status() if one.role == "pins"]
    assert ("pins-2",) == status.owners


def test_a_new_repository_is_staged(ceremony: Ceremony, tmp_path: Path) -> None:
    """Nothing but its settings is in the folder until it is published."""
    file, folder = tmp_path / "first.json", tmp_path / "new"
    keys = {role: [one.public_key for one in several] for role, several in ceremony.keys.items()}
    Publisher.created(folder, keys, ceremony.opened().settings.roles, NOW, file)
    request = read_request(file)

    assert ["repository.toml"] == [path.name for path in folder.iterdir()]
    assert set(ROLES) - {"snapshot", "timestamp"} == request.after.keys()
    signed = ceremony.signed(request, "alice", "bob")
    sign_request(signed, ceremony.machine)
    Publisher.publish_requests(folder, [signed], ceremony.machine, NOW)
    made = Publisher.opened(folder, ceremony.machine, NOW)
    assert [1] * len(ROLES) == [one.version for one in made.status()]
    assert set(ceremony.people) == set(made.status()[0].owners)


def test_a_new_repository_is_not_written_over_another(ceremony: Ceremony, tmp_path: Path) -> None:
    """Although the folder was free when each was begun."""
    file, folder = tmp_path / "first.json", tmp_path / "new"
    settings = ceremony.opened().settings
    Publisher.created(folder, ceremony.keys, settings.roles, NOW, file)
    request = read_request(file)
    late = Repository.begun(folder, ceremony.machine, NOW)
    Publisher.publish_requests(folder, [request], ceremony.machine, NOW)
    before = _files(folder)

    with pytest.raises(UpdateError, match="others have published"):
        late.write_signed(request.after, request.files)

    assert before == _files(folder)


def test_a_request_is_never_overwritten(ceremony: Ceremony, tmp_path: Path) -> None:
    """Somebody may have signed it."""
    file = tmp_path / "request.json"
    file.write_text("signed")

    with pytest.raises(UpdateError, match="exists"):
        Publisher.opened(ceremony.folder, {}, NOW, file).deny([KEY])
    assert "signed" == file.read_text()


def test_what_the_machine_signs_alone_is_not_staged(ceremony: Ceremony) -> None:
    """Nobody has to be asked for it."""
    with pytest.raises(UpdateError, match="when a request is published"):
        ceremony.staged(lambda one: one.resign())


def test_requests_are_read_and_written_as_files(ceremony: Ceremony, tmp_path: Path) -> None:
    """For everybody to read; what cannot be read is told."""
    request = ceremony.staged(lambda one: one.deny([KEY]))
    file = tmp_path / "copy.json"
    write_request(file, request)

    assert request == read_request(file)
    assert 0o644 == file.stat().st_mode & 0o777
    with pytest.raises(PolicyError, match=r"nothing\.json.*\n.*cannot be read: No such file"):
        read_request(tmp_path / "nothing.json")
    with pytest.raises(PolicyError, match="cannot be read"):
        read_request(Path("a\0b"))


def test_a_huge_request_is_not_parsed(tmp_path: Path) -> None:
    """A sparse file is enough to ask for all memory."""
    file = tmp_path / "huge.json"
    with file.open("wb") as stream:
        stream.truncate(MAX_REQUEST_BYTES + 1)

    with pytest.raises(PolicyError, match=f"more than {MAX_REQUEST_BYTES}"):
        read_request(file)
