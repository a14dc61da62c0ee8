"""What docs/runbooks/updates-recovery.md tells to do, with the commands, as a client sees it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.cache import Cache
from holdfast.updates.client import Refreshed, UpdateClient
from holdfast.updates.document import PINS_TARGET, bundle_from_bytes, bundle_to_bytes
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.freshness import State
from holdfast.updates.key_folder import load_signers
from holdfast.updates.repository import Repository
from tests.cli.updates.policy_file import LEAF, OTHER, write_policy
from tests.updates.origin import Origin
from tests.updates.publishing import Folder

Run = Callable[..., subprocess.CompletedProcess[str]]
RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "updates-recovery.md"
ONLINE = ("pins", "snapshot", "timestamp")
KEYS = ("--keys", "keys")


class Clock:
    """The time on the publisher's machine and on the client's, which both can be wrong."""

    def __init__(self) -> None:
        """Be right."""
        self.ahead = self.client_ahead = timedelta()

    def client(self) -> datetime:
        """Return what the client believes."""
        return datetime.now(UTC) + self.client_ahead

    def pass_(self, time: timedelta) -> None:
        """Let time pass for both."""
        self.ahead += time
        self.client_ahead += time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the commands go by."""
    clock = Clock()

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp((datetime.now(tz) + clock.ahead).timestamp(), tz)

    for module in ("options", "upkeep"):
        monkeypatch.setattr(f"holdfast.cli.updates.{module}.datetime", Later)
    return clock


@pytest.fixture
def repository(updates: Run, folder: Path, clock: Clock) -> Path:
    """A repository with a policy."""
    assert 0 == updates("publish", "repo", *KEYS, "--rules").returncode
    return folder / "repo"


@pytest.fixture
def origin(repository: Path) -> Iterator[Origin]:
    """The web server of the repository."""
    files = Folder(repository)
    with Origin(files) as running:  # type: ignore[arg-type]  # it only reads
        yield running


Start = Callable[..., UpdateClient]


@pytest.fixture
def start(origin: Origin, repository: Path, tmp_path: Path, clock: Clock) -> Start:
    """Return a function that starts a client, with the root that was shipped first."""
    shipped = (repository / "metadata" / "1.root.json").read_bytes()

    def start(name: str = "cache", root: bytes = shipped) -> UpdateClient:
        return UpdateClient(
            [OriginFetcher(origin.url, None, plain_http=True, deadline=5, gap=2)],
            root=root,
            cache=Cache(tmp_path / name),
            clock=clock.client,
        )

    return start


@pytest.fixture
def client(start: Start) -> UpdateClient:
    """A client that follows the repository."""
    client = start()
    assert client.refresh().succeeded
    return client


def _leaf(client: UpdateClient) -> list[str]:
    return [str(pin) for pin in client.current().pin_sets[0].leaf]


def _state(client: UpdateClient) -> State:
    return client.state


def _done(done: subprocess.CompletedProcess[str]) -> None:
    assert 0 == done.returncode, done.stderr + done.stdout


def _rotate(updates: Run, role: str) -> None:
    """Give a role new keys, and put them in the place of the old ones."""
    _done(updates("rotate-key", "repo", role, "--new-keys", f"new-{role}", *KEYS))
    for file in Path("keys").glob(f"{role}-*.pem"):
        file.unlink()
    for file in Path(f"new-{role}").iterdir():
        file.rename(Path("keys") / file.name)
    Path(f"new-{role}").rmdir()


def _lose(role: str, number: str = "*") -> None:
    for file in Path("keys").glob(f"{role}-{number}.pem"):
        file.unlink()


def _follows(updates: Run, client: UpdateClient, folder: Path, leaf: str = OTHER) -> None:
    """Check that a policy can be published and that the client takes it."""
    write_policy(folder, leaf)
    _done(updates("publish", "repo", *KEYS))
    done = client.refresh()
    assert Refreshed(succeeded=True) == done
    assert State.FRESH is _state(client)
    assert [leaf] == _leaf(client)


@pytest.mark.parametrize("role", ONLINE)
def test_an_online_key_is_lost_or_stolen(
    updates: Run, client: UpdateClient, folder: Path, role: str
) -> None:
    """The offline keys give another, and clients follow with no release."""
    _lose(role)
    assert 2 == updates("publish", "repo", *KEYS).returncode

    _rotate(updates, role)

    _follows(updates, client, folder)


def test_the_online_machine_is_lost(updates: Run, client: UpdateClient, folder: Path) -> None:
    """All of its keys at once: the timestamp's first, since that takes no other."""
    for role in ONLINE:
        _lose(role)

    for role in ("timestamp", "snapshot", "pins"):
        _rotate(updates, role)

    _follows(updates, client, folder)


@pytest.mark.parametrize("role", ["root", "targets", "emergency", "breakglass"])
def test_one_offline_key_is_lost(
    updates: Run, client: UpdateClient, folder: Path, role: str
) -> None:
    """Those that are left give the role new ones."""
    _lose(role, "1")

    _rotate(updates, role)

    _follows(updates, client, folder)
    _done(updates("deny", "repo", LEAF, *KEYS))


@pytest.mark.parametrize("role", ["targets", "emergency", "breakglass"])
def test_all_keys_of_an_offline_role_are_lost(
    updates: Run, client: UpdateClient, folder: Path, role: str
) -> None:
    """Whoever delegates it gives new ones, and everything can be signed again."""
    _lose(role)

    _rotate(updates, role)

    _follows(updates, client, folder)
    _done(updates("deny", "repo", LEAF, *KEYS))
    assert client.refresh().succeeded
    assert (Pin.parse(LEAF),) == client.current().denied


def test_the_root_is_lost(
    updates: Run, client: UpdateClient, start: Start, origin: Origin, folder: Path
) -> None:
    """No command helps: what clients have stays, and another root has to be shipped."""
    _lose("root")
    done = updates("rotate-key", "repo", "timestamp", "--new-keys", "fresh", *KEYS)
    assert 2 == done.returncode
    assert "root takes 1 of its 2 keys, and 0 are here" in done.stderr

    _done(updates("init", "other", "--keys", "others", "--profile", "small"))
    write_policy(folder, OTHER)
    _done(updates("publish", "other", "--keys", "others", "--rules"))
    origin.files = Folder(folder / "other")  # type: ignore[assignment]  # it only reads

    assert not client.refresh().succeeded
    assert [LEAF] == _leaf(client)
    shipped = start("new release", (folder / "other" / "metadata" / "1.root.json").read_bytes())
    assert shipped.refresh().succeeded
    assert [OTHER] == _leaf(shipped)


EXPIRED = {"root": 365, "targets": 180, "emergency": 180, "breakglass": 180, "pins": 14}


@pytest.mark.parametrize("role", EXPIRED)
def test_a_role_has_expired(
    updates: Run, client: UpdateClient, clock: Clock, folder: Path, role: str
) -> None:
    """What was in force stays, what clients say of it fits the role, and signing again ends it."""
    _done(updates("breakglass", "repo", "api", "--until", _in(timedelta(days=1)), *KEYS))
    _done(updates("breakglass", "repo", *KEYS))
    held = folder / "held"
    held.mkdir()
    for file in (folder / "keys").glob(f"{role}-*.pem"):
        file.rename(held / file.name)
    clock.pass_(timedelta(days=EXPIRED[role] - 1))
    _done(updates("resign", "repo", *KEYS))
    assert client.refresh().succeeded
    clock.pass_(timedelta(days=2))
    _done(updates("resign", "repo", *KEYS))
    status = updates("status", "repo", "--json")
    assert [role] == [one["role"] for one in json.loads(status.stdout)["roles"] if one["due"]]

    is_spared = role in {"emergency", "breakglass"}
    assert is_spared is client.refresh().succeeded
    knows_of_more = is_spared or role == "pins"  # whose state is newer, but for that role
    assert (State.STALE if knows_of_more else State.FRESH) is _state(client)
    assert [LEAF] == _leaf(client)
    clock.pass_(timedelta(days=6))
    assert State.STALE is _state(client)

    _done(updates("resign", "repo", *KEYS, "--keys", "held"))
    assert client.refresh().succeeded
    assert State.FRESH is _state(client)


def _in(time: timedelta) -> str:
    return (datetime.now(UTC) + time).isoformat(timespec="seconds")


def test_nobody_has_signed_for_a_week(updates: Run, client: UpdateClient, clock: Clock) -> None:
    """The hourly job was down: clients enforce what they have, and one run of it ends that."""
    clock.pass_(timedelta(days=8))
    assert not client.refresh().succeeded
    assert State.STALE is _state(client)
    assert [LEAF] == _leaf(client)

    _done(updates("resign", "repo", *KEYS))
    assert client.refresh().succeeded
    assert State.FRESH is _state(client)


def _stolen(repository: Path) -> Repository:
    """Open a repository with the keys that a thief of the online machine has."""
    Path("stolen").mkdir()
    for role in ONLINE:
        shutil.copy2(f"keys/{role}-1.pem", "stolen")
    return _opened_with(Path("stolen"), repository)


def _opened_with(keys: Path, repository: Path) -> Repository:
    return Repository.opened(repository, load_signers([keys], b"correct horse"), datetime.now(UTC))


@pytest.mark.parametrize("version", [2**31, 2**63 - 1])
@pytest.mark.parametrize("is_ours", [False, True])
def test_versions_were_run_up(
    updates: Run,
    client: UpdateClient,
    origin: Origin,
    repository: Path,
    folder: Path,
    version: int,
    is_ours: bool,
) -> None:
    """A thief has served clients versions that ours never reach, or has written them into ours."""
    shutil.copytree(repository, "copy", copy_function=shutil.copy2)
    theirs = repository if is_ours else folder / "copy"
    thief = _stolen(theirs)
    thief.write(ONLINE, by=version)
    origin.files = Folder(theirs)  # type: ignore[assignment]  # it only reads
    assert client.refresh().succeeded
    origin.files = Folder(repository)  # type: ignore[assignment]  # it only reads
    assert is_ours is client.refresh().succeeded

    for role in ("timestamp", "snapshot", "pins"):
        _rotate(updates, role)

    _follows(updates, client, folder)


def test_a_thief_has_used_up_the_serials(
    updates: Run, client: UpdateClient, repository: Path, folder: Path
) -> None:
    """New keys, and a new epoch: the clients that have the thief's pins take the good ones."""
    thief = _stolen(repository)
    content = thief.content("pins", PINS_TARGET) or b""
    bundle = bundle_from_bytes(content, now=datetime.now(UTC))
    (pin_set,) = bundle.policy.pin_sets
    wrong = replace(
        bundle.policy, pin_sets=(replace(pin_set, leaf=(Pin.of_spki(b"the thief's"),)),)
    )
    stolen = replace(bundle, serial=2**63 - 1, policy=wrong)
    thief.put("pins", PINS_TARGET, bundle_to_bytes(stolen))
    thief.write(ONLINE)
    assert client.refresh().succeeded
    assert [str(Pin.of_spki(b"the thief's"))] == _leaf(client)
    refused = updates("publish", "repo", *KEYS)
    assert 2 == refused.returncode
    assert "holdfast updates new-epoch" in refused.stderr

    for role in ("timestamp", "snapshot", "pins"):
        _rotate(updates, role)
    _done(updates("new-epoch", "repo", *KEYS))

    assert client.refresh().succeeded
    assert [LEAF] == _leaf(client)
    _follows(updates, client, folder)
    with pytest.raises(UpdateError, match="0 are here"):
        _opened_with(Path("stolen"), repository).write(ONLINE)


def test_a_key_was_denied_by_mistake(updates: Run, client: UpdateClient) -> None:
    """It is lifted in a new epoch, and what was denied rightly stays so."""
    _done(updates("deny", "repo", LEAF, OTHER, *KEYS))
    assert client.refresh().succeeded
    assert {LEAF, OTHER} == set(map(str, client.current().denied))

    _done(updates("new-epoch", "repo", "--lift", LEAF, *KEYS))

    assert client.refresh().succeeded
    assert [OTHER] == list(map(str, client.current().denied))


def test_wrong_pins_were_published(updates: Run, client: UpdateClient, folder: Path) -> None:
    """The right ones are published again; until they are known, break-glass lets clients in."""
    write_policy(folder, OTHER)
    _done(updates("publish", "repo", *KEYS))
    assert client.refresh().succeeded
    assert [OTHER] == _leaf(client)

    _done(updates("breakglass", "repo", "api", "--until", _in(timedelta(days=1)), *KEYS))
    assert client.refresh().succeeded
    assert client.current().pin_sets[0].report_only_until is not None

    _follows(updates, client, folder, LEAF)
    _done(updates("breakglass", "repo", *KEYS))
    assert client.refresh().succeeded
    assert client.current().pin_sets[0].report_only_until is None


def test_the_folder_was_lost(
    updates: Run, client: UpdateClient, repository: Path, folder: Path
) -> None:
    """An old backup is older than what clients have: new keys and a new epoch get it above that."""
    shutil.copytree(repository, "backup", copy_function=shutil.copy2)
    _rotate(updates, "timestamp")
    for leaf in (OTHER, LEAF, OTHER):
        _follows(updates, client, folder, leaf)
    roots = {path.name: path.read_bytes() for path in (repository / "metadata").glob("*.root.json")}
    shutil.rmtree(repository)
    shutil.copytree("backup", repository, copy_function=shutil.copy2)
    for name, content in roots.items():  # any client or cache has them
        (repository / "metadata" / name).write_bytes(content)
    assert not client.refresh().succeeded

    for role in ("timestamp", "snapshot"):
        _rotate(updates, role)
    write_policy(folder, OTHER)
    _done(updates("new-epoch", "repo", *KEYS))

    assert client.refresh().succeeded
    assert State.FRESH is _state(client)
    _follows(updates, client, folder, LEAF)


@pytest.mark.parametrize("ahead", [timedelta(days=400), timedelta(days=-400)])
def test_the_publishers_clock_was_wrong(
    updates: Run, client: UpdateClient, clock: Clock, repository: Path, ahead: timedelta
) -> None:
    """With a right clock it is signed again, and lasts as long as it should."""
    clock.ahead = ahead
    _done(updates("resign", "repo", *KEYS))
    assert (ahead > timedelta()) is client.refresh().succeeded
    assert [LEAF] == _leaf(client)

    clock.ahead = timedelta()
    _done(updates("resign", "repo", *KEYS))

    assert client.refresh().succeeded
    assert State.FRESH is _state(client)
    _done(updates("new-epoch", "repo", *KEYS))
    assert client.refresh().succeeded
    for role in json.loads(updates("status", "repo", "--json").stdout)["roles"]:
        if role["role"] in {*ONLINE, "targets"}:
            left = datetime.fromisoformat(role["expires"]) - datetime.now(UTC)
            assert left < timedelta(days=181)


def test_a_clients_clock_was_wrong(
    updates: Run, client: UpdateClient, clock: Clock, folder: Path
) -> None:
    """It enforces what it has meanwhile, and goes on by itself when the clock is right."""
    clock.client_ahead = timedelta(days=400)
    assert not client.refresh().succeeded
    assert [LEAF] == _leaf(client)
    assert client.state in {State.STALE, State.EXPIRED}

    clock.client_ahead = timedelta()
    _follows(updates, client, folder)


def test_each_procedure_is_run_here() -> None:
    """The runbook promises nothing that was not tried."""
    headings = re.findall(r"^### (.*)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)

    assert list(PROCEDURES) == headings


PROCEDURES = {
    "An online key is lost or stolen": [test_an_online_key_is_lost_or_stolen],
    "The online machine is lost or stolen": [test_the_online_machine_is_lost],
    "One offline key is lost": [test_one_offline_key_is_lost],
    "All keys of targets, emergency or breakglass are lost": [
        test_all_keys_of_an_offline_role_are_lost
    ],
    "The root is lost": [test_the_root_is_lost],
    "A role has expired": [test_a_role_has_expired, test_nobody_has_signed_for_a_week],
    "Versions were run up": [test_versions_were_run_up],
    "The serials are used up": [test_a_thief_has_used_up_the_serials],
    "A key was denied by mistake": [test_a_key_was_denied_by_mistake],
    "Wrong pins were published": [test_wrong_pins_were_published],
    "The folder is lost": [test_the_folder_was_lost],
    "A clock is wrong": [test_the_publishers_clock_was_wrong, test_a_clients_clock_was_wrong],
}
