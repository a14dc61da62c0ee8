from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, TargetFile
from tuf.ngclient import Updater

from holdfast.errors import UpdateError
from holdfast.updates.signed_files import SignedFile
from tests.updates.conftest import Refresh
from tests.updates.origin import Origin, sending
from tests.updates.signed_repository import FILES, NOW, SignedRepository, meta_file

Serve = Callable[..., Origin]

DAY = timedelta(days=1)


def test_a_first_fetch(repository: SignedRepository, update: Refresh, reread: Refresh) -> None:
    """Each file comes with the role that has signed it, and again without the origin."""
    repository.put("targets", b"policy")
    repository.put("breakglass", b"sets")
    repository.publish(roles=["targets", "breakglass"])

    files = update()

    assert SignedFile("pins/bundle.json", "pins", repository.bundle(2)) == files.pins
    assert SignedFile("policy/bundle.json", "targets", b"policy") == files.policy
    assert SignedFile("emergency/deny.json", "emergency", b"[]") == files.emergency
    assert SignedFile("breakglass/sets.json", "breakglass", b"sets") == files.breakglass
    assert (None, None) == (files.emergency_problem, files.breakglass_problem)
    assert (1, 2, NOW + DAY) == (files.epoch, files.timestamp_version, files.timestamp_expires)
    assert reread() == files


def test_what_may_be_missing(update: Refresh) -> None:
    """A policy and a break-glass list need not be there, and that is no problem."""
    files = update()

    assert (None, None) == (files.policy, files.breakglass)
    assert (None, None) == (files.emergency_problem, files.breakglass_problem)


def test_a_new_state_replaces_the_old_one(
    repository: SignedRepository, update: Refresh, reread: Refresh, copy: Path
) -> None:
    """The files of the newest state are returned, and what is gone from it is gone."""
    repository.put("targets", b"policy")
    repository.publish(roles=["targets"])
    update()
    del repository.targets.targets[FILES["targets"]]
    repository.publish(roles=["targets"])

    files = update()

    assert (repository.bundle(3), None) == (files.pins.content, files.policy)
    assert not (copy / "targets" / "policy.bundle.json").exists()
    assert reread() == files


def test_time_is_an_argument(update: Refresh, reread: Refresh) -> None:
    """The same files verify as of one time and are expired as of another, whatever the clock."""
    files = update(now=NOW + DAY - timedelta(seconds=1))

    assert reread(now=NOW - timedelta(days=3650)) == files
    with pytest.raises(UpdateError, match=r"timestamp\.json is expired"):
        reread(now=NOW + DAY + timedelta(seconds=1))
    with pytest.raises(UpdateError, match=r"timestamp\.json is expired"):
        update(now=NOW + DAY + timedelta(seconds=1))


def test_without_a_way_to_give_the_time_nothing_verifies(
    update: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release of python-tuf that has renamed the private name is refused, not half-used."""
    start = Updater.__init__

    def renamed(self: Updater, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed on
        start(self, *args, **kwargs)
        del self._trusted_set.reference_time

    monkeypatch.setattr(Updater, "__init__", renamed)

    with pytest.raises(UpdateError, match="cannot be told the time"):
        update()


@pytest.mark.parametrize("role", ["snapshot", "targets", "pins"])
def test_expired_roles(repository: SignedRepository, update: Refresh, role: str) -> None:
    """Each role that signs for pins has to be valid."""
    repository.signed(role).expires = NOW - DAY
    repository.sign(role)
    repository.serve(role)
    if role == "snapshot":
        repository.timestamp.snapshot_meta = meta_file(1, repository.bytes_of(role))
        repository.bump("timestamp")
    else:
        repository.publish_top()

    with pytest.raises(UpdateError, match=f"{role}.*expired"):
        update()


def test_an_expired_root(repository: SignedRepository, update: Refresh) -> None:
    """The last root has to be valid, those before it need not be."""
    late = NOW + timedelta(days=366)
    repository.now = late
    repository.publish(roles=["targets", "emergency", "breakglass"])
    with pytest.raises(UpdateError, match=r"root.*expired"):
        update(now=late)

    repository.root.expires = late + DAY
    repository.rotate()

    assert repository.bundle(2) == update(now=late).pins.content


EMERGENCY_FAULTS: dict[str, Callable[[SignedRepository, Origin], None]] = {
    "withheld": lambda _, origin: origin.answers.update(
        {"metadata/2.emergency.json": sending(b"", status=404)}
    ),
    "tampered": lambda _, origin: origin.answers.update(
        {"metadata/2.emergency.json": sending(b"{}")}
    ),
    "nested": lambda _, origin: origin.answers.update(
        {"metadata/2.emergency.json": sending(b"[" * 100_000)}
    ),
    "redirected": lambda _, origin: origin.answers.update(
        {"metadata/2.emergency.json": sending(b"", status=302, location="/")}
    ),
}


@pytest.mark.parametrize("fault", [*EMERGENCY_FAULTS, "expired", "unlisted", "file", "undelegated"])
def test_without_the_emergency_file_the_rest_comes(
    repository: SignedRepository, origin: Origin, update: Refresh, reread: Refresh, fault: str
) -> None:
    """Whatever is wrong with the emergency file is said, and holds back no pins."""
    if fault == "undelegated":
        assert repository.targets.delegations is not None
        del (repository.targets.delegations.roles or {})["emergency"]
        repository.delegated.remove("emergency")
        repository.publish(roles=["targets"])
    else:
        repository.put("emergency", b"[1]")
        if fault == "unlisted":
            repository.signed("emergency").targets.clear()
        repository.publish(roles=["emergency"])
    if fault == "expired":
        repository.signed("emergency").expires = NOW - DAY
        repository.sign("emergency")
        repository.serve("emergency")
        repository.publish_top()
    elif fault == "file":
        for path in list(repository.files):
            if path.startswith("targets/emergency/"):
                del repository.files[path]
    elif fault in EMERGENCY_FAULTS:
        EMERGENCY_FAULTS[fault](repository, origin)

    files = update()

    assert repository.bundle(2) == files.pins.content
    assert files.emergency is None
    assert files.emergency_problem is not None
    assert "emergency/deny.json" in files.emergency_problem
    again = reread()
    assert replace(files, emergency_problem=None) == replace(again, emergency_problem=None)
    assert again.emergency_problem is not None


def test_without_the_break_glass_file_the_rest_comes(
    repository: SignedRepository, update: Refresh
) -> None:
    """An expired break-glass role is said, and holds back no pins."""
    repository.put("breakglass", b"sets")
    repository.bump("breakglass")
    repository.signed("breakglass").expires = NOW - DAY
    repository.sign("breakglass")
    repository.serve("breakglass")
    repository.publish()

    files = update()

    assert (repository.bundle(2), None) == (files.pins.content, files.breakglass)
    assert "expired" in (files.breakglass_problem or "")


@pytest.mark.parametrize("root", [b"", b"{}", b"[" * 100_000, b"\xff"])
def test_a_root_that_is_none(update: Refresh, root: bytes) -> None:
    """Bytes that are no root metadata are refused with a plain message."""
    with pytest.raises(UpdateError):
        update(root=root or b" ")


def test_a_target_of_a_weak_hash(repository: SignedRepository, update: Refresh) -> None:
    """A file that is listed with a hash that can be forged is refused."""
    content = repository.bundle(2)
    target = TargetFile.from_data(FILES["pins"], content, ["md5"])
    repository.files[f"targets/pins/{target.hashes['md5']}.bundle.json"] = content
    repository.serial += 1
    repository.signed("pins").targets[FILES["pins"]] = target
    repository.bump("pins")
    repository.publish_top()

    with pytest.raises(UpdateError, match="weak hash"):
        update()


def test_a_target_that_is_too_long(
    repository: SignedRepository, update: Refresh, origin: Origin
) -> None:
    """A signed length above the limit is refused before anything is asked for."""
    repository.signed("pins").targets[FILES["pins"]].length = 17 * 1024 * 1024
    repository.bump("pins")
    repository.publish_top()

    with pytest.raises(UpdateError, match="at most"):
        update()
    assert not [path for path in origin.requests if path.startswith("targets/pins")]


def test_pins_are_required(repository: SignedRepository, update: Refresh) -> None:
    """A repository without pins is no state to go on with."""
    repository.signed("pins").targets.clear()
    repository.bump("pins")
    repository.publish_top()

    with pytest.raises(UpdateError, match=r"no pins/bundle\.json"):
        update()


def test_a_torn_target_is_fetched_again(
    repository: SignedRepository, update: Refresh, reread: Refresh, copy: Path
) -> None:
    """What a kill has left of a file is not used, and the next fetch mends it."""
    files = update()
    path = copy / "targets" / "pins.bundle.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UpdateError, match="missing or damaged"):
        reread()

    assert update() == files
    assert reread() == files


def test_a_repository_that_delegates_nothing(repository: SignedRepository, update: Refresh) -> None:
    """Without delegations there are no pins."""
    repository.targets.delegations = None
    repository.publish(roles=["targets"])

    with pytest.raises(UpdateError, match=r"no pins/bundle\.json"):
        update()


def test_no_key_of_a_role_signs_for_another(repository: SignedRepository, update: Refresh) -> None:
    """A role that the targets role knows under another name is not the owner."""
    assert repository.targets.delegations is not None
    roles = repository.targets.delegations.roles
    assert roles is not None
    stranger = DelegatedRole("stranger", roles["emergency"].keyids, 1, True, paths=["pins/*"])
    repository.targets.delegations.roles = {"stranger": stranger, **roles}
    repository.publish(roles=["targets"])

    with pytest.raises(UpdateError, match="delegated to stranger, not to pins"):
        update()
