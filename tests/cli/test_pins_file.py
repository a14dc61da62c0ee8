import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.pins_file import NewSet, PinsFile
from holdfast.cli.private_key import NewKey
from holdfast.errors import CertificateError, HoldfastError, PolicyError
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode

LEAF = Pin.of_spki(b"leaf")
NEXT = Pin.of_spki(b"next")
EXISTING = f"""\
# Ours, since 2026.
[pin_set.old]  # do not touch
hosts = [ "old.example.com" ]   # odd   spacing
mode = 'report-only'
leaf = ["{Pin.of_spki(b"old")}"]

[holdfast]
unlisted = "refuse"  # nothing else
format = 1
"""


def _new(name: str = "api", host: str = "api.example.com", **changes: Any) -> NewSet:  # noqa: ANN401
    fields: dict[str, Any] = {
        "name": name,
        "hosts": (host,),
        "leaf": ((LEAF, "seen"),),
        "backup": ((NEXT, "made"),),
    }
    return NewSet(**(fields | changes))


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_new_file_says_everything(tmp_path: Path) -> None:
    """A new file has its format, what unlisted hosts get, and the set with its comments."""
    path = tmp_path / "pins.toml"

    PinsFile(path).write(
        [_new(owner="pay <pay@example.com>", endpoints=("https://api.example.com:8443",))]
    )

    assert (
        "[holdfast]\n"
        "format = 1\n"
        'unlisted = "allow"  # hosts that no set covers: refuse, report-only or allow\n'
        "\n"
        "[pin_set.api]\n"
        'hosts = ["api.example.com"]\n'
        'mode = "enforce"\n'
        f'leaf = [\n    "{LEAF}", # seen\n]\n'
        f'backup = [\n    "{NEXT}", # made\n]\n'
    ) == path.read_text().partition("endpoints")[0]
    assert "pay <pay@example.com>" == tomllib.loads(path.read_text())["pin_set"]["api"]["owner"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "# no line end"])
def test_what_was_there_stays_byte_for_byte(tmp_path: Path, line_end: str, last: str) -> None:
    """Comments, spacing, order and line ends of an existing file do not change."""
    path = tmp_path / "pins.toml"
    before = (EXISTING + last).replace("\n", line_end).encode()
    path.write_bytes(before)

    PinsFile(path).write([_new(), _new("two", "two.example.com")])

    after = path.read_bytes()
    assert before == after[: len(before)]
    assert after.count(b"\n") == after.count(line_end.encode())
    assert ["old", "api", "two"] == [pin_set.name for pin_set in load_policy(path).pin_sets]


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({}, Mode.ENFORCE),
        ({"backup": ()}, Mode.REPORT_ONLY),
        ({"backup": (), "accept_lock_out": True}, Mode.ENFORCE),
        ({"leaf": (), "backup": (), "ca": ((LEAF, ""),)}, Mode.REPORT_ONLY),
        ({"leaf": (), "backup": (), "ca": ((LEAF, ""), (NEXT, ""))}, Mode.ENFORCE),
    ],
)
def test_mode_follows_from_the_way_out(tmp_path: Path, changes: dict[str, Any], mode: Mode) -> None:
    """A set is enforced when one key may be lost, or lock-out was accepted; otherwise reported."""
    path = tmp_path / "pins.toml"

    PinsFile(path).write([_new(**changes)])

    assert [mode] == [pin_set.mode for pin_set in load_policy(path).pin_sets]
    assert (mode is Mode.REPORT_ONLY) == ("NOT ENFORCED" in path.read_text())


def test_comment_cannot_leave_its_line(tmp_path: Path) -> None:
    """A file name with a line break in it does not write into the policy."""
    path = tmp_path / "pins.toml"

    PinsFile(path).write([_new(backup=((NEXT, 'x\n]\nmode = "report-only"'),))])

    assert [Mode.ENFORCE] == [pin_set.mode for pin_set in load_policy(path).pin_sets]


def test_permissions_stay(tmp_path: Path) -> None:
    """An existing file keeps its mode; a new one can be read by everyone."""
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(EXISTING)
    old.chmod(0o640)

    for path in (old, new):
        PinsFile(path).write([_new()])

    assert 0o640 == stat.S_IMODE(old.stat().st_mode)
    assert 0o644 == stat.S_IMODE(new.stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_stays(tmp_path: Path) -> None:
    """Whose file it was can still read it after root has added to it."""
    path = tmp_path / "pins.toml"
    path.write_text(EXISTING)
    path.chmod(0o600)
    os.chown(path, 12345, 23456)

    PinsFile(path).write([_new()])

    status = path.stat()
    assert (12345, 23456, 0o600) == (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


@pytest.mark.parametrize("before", [None, EXISTING])
def test_change_by_another_is_not_lost(tmp_path: Path, before: str | None) -> None:
    """What another process wrote since the file was read stays, and no key is made."""
    path = tmp_path / "pins.toml"
    if before is not None:
        path.write_text(before)
    one, two = PinsFile(path), PinsFile(path)
    made: list[None] = []

    @contextmanager
    def make() -> Iterator[None]:
        made.append(None)
        yield

    one.write([_new()])
    with pytest.raises(HoldfastError, match="was changed by someone else meanwhile"):
        two.write([_new("two", "two.example.com")], also=make())

    assert "api" == load_policy(path).pin_sets[-1].name
    assert ([], ["pins.toml"]) == (made, _names(tmp_path))


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """While one process writes, another one waits, and then sees the change."""
    path = tmp_path / "pins.toml"
    path.write_text(EXISTING)
    waiting, refused = Event(), Event()

    def write_too() -> None:
        file = PinsFile(path)
        waiting.set()
        with pytest.raises(HoldfastError, match="was changed by someone else meanwhile"):
            file.write([_new("two", "two.example.com")])
        refused.set()

    other = Thread(target=write_too)

    @contextmanager
    def while_it_is_locked() -> Iterator[None]:
        other.start()
        assert waiting.wait(10.0)
        assert not refused.wait(0.05)
        yield

    PinsFile(path).write([_new()], also=while_it_is_locked())
    other.join()

    assert refused.is_set()


def test_link_to_itself_is_replaced(tmp_path: Path) -> None:
    """A link that leads to itself stands for no file: the policy takes its place."""
    path = tmp_path / "pins.toml"
    path.symlink_to(path)

    PinsFile(path).write([_new()])

    assert 1 == len(load_policy(path).pin_sets)


def test_link_stays_a_link(tmp_path: Path) -> None:
    """A policy that is a link is changed where it leads."""
    real, link = tmp_path / "real.toml", tmp_path / "pins.toml"
    real.write_text(EXISTING)
    link.symlink_to(real)

    PinsFile(link).write([_new()])

    assert link.is_symlink()
    assert 2 == len(load_policy(real).pin_sets)


def test_set_that_clients_would_not_load_changes_nothing(tmp_path: Path) -> None:
    """What fails to load is not put in place, and no draft is left behind."""
    path = tmp_path / "pins.toml"
    path.write_text(EXISTING)

    with pytest.raises(PolicyError) as caught:
        PinsFile(path).write([_new(hosts=())])

    assert f"{path} with the new set" == caught.value.source
    assert (EXISTING, ["pins.toml"]) == (path.read_text(), _names(tmp_path))


def test_failure_of_what_comes_along_changes_nothing(tmp_path: Path) -> None:
    """When the key cannot be written, neither is the policy."""
    path = tmp_path / "pins.toml"
    path.write_text(EXISTING)

    with pytest.raises(CertificateError, match="cannot be written"):
        PinsFile(path).write([_new()], also=NewKey.make().written(tmp_path / "no" / "next.key"))

    assert (EXISTING, ["pins.toml"]) == (path.read_text(), _names(tmp_path))


def test_what_comes_along_learns_of_a_failure(tmp_path: Path) -> None:
    """When the file cannot be replaced, the one who was to come along can undo what it did."""
    path = tmp_path / "pins.toml"
    told: list[str] = []

    @contextmanager
    def stand_in_the_way() -> Iterator[None]:
        path.mkdir()
        try:
            yield
        except HoldfastError as error:
            told.append(error.message)
            raise

    with pytest.raises(HoldfastError):
        PinsFile(path).write([_new()], also=stand_in_the_way())

    assert [f"{path} cannot be replaced: Is a directory"] == told
    assert ["pins.toml"] == _names(tmp_path)


def test_host_is_pinned_once(tmp_path: Path) -> None:
    """A host with an exact pattern of its own is refused, and so is a name that is taken."""
    path = tmp_path / "pins.toml"
    path.write_text(EXISTING)
    file = PinsFile(path)

    with pytest.raises(HoldfastError, match=r"by pin_set\.old of "):
        file.check(None, ["new.example.com", "old.example.com"])
    with pytest.raises(HoldfastError, match="choose another --name"):
        file.check("old", ["new.example.com"])


def test_enforced_wildcard_is_not_weakened(tmp_path: Path) -> None:
    """A report-only set for a host that a wildcard enforces is refused; an enforced one is not."""
    path = tmp_path / "pins.toml"
    PinsFile(path).write([_new("wide", "**.example.com")])
    before = path.read_text()

    with pytest.raises(HoldfastError, match=r"is enforced by pin_set\.wide of .*: a report-only"):
        PinsFile(path).write([_new("narrow", backup=())])
    assert before == path.read_text()

    PinsFile(path).write([_new("narrow")])
    assert 2 == len(load_policy(path).pin_sets)


def test_folder_has_to_exist(tmp_path: Path) -> None:
    """A policy in a folder that is not there is refused before anything is looked at."""
    with pytest.raises(HoldfastError, match="its folder does not exist"):
        PinsFile(tmp_path / "missing" / "pins.toml")


def test_names_are_plain_and_free(tmp_path: Path) -> None:
    """A set's name comes from its host, with a number when that is taken."""
    path = tmp_path / "pins.toml"
    file = PinsFile(path)
    assert "api-example-com" == file.set_name_for("api.example.com")
    assert "api-example-com-2" == file.set_name_for("api-example.com")
    assert "--1" == file.set_name_for("::1")

    file.write([_new("api-example-com")])

    assert "api-example-com-2" == PinsFile(path).set_name_for("api.example.com")


def test_json_is_left_to_others(tmp_path: Path) -> None:
    """A JSON policy is refused before anything is read: it cannot hold a comment."""
    with pytest.raises(HoldfastError, match="pins are added to TOML files only"):
        PinsFile(tmp_path / "pins.json")
