from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.certificates.load_policy import read_policy
from holdfast.enforcement import policy_file as module
from holdfast.enforcement.policy_file import PolicyFile
from holdfast.errors import PolicyError
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy

LEAF, BACKUP = str(Pin.of_spki(b"leaf")), str(Pin.of_spki(b"backup"))
PATIENCE = 10.0  # seconds; only a failing test takes them


def text(host: str = "api.example", *, extra: str = "") -> str:
    """Return a policy for one host."""
    return f"""
    [holdfast]
    format = 1
    unlisted = "allow"

    [pin_set.api]
    hosts = ["{host}"]
    mode = "enforce"
    leaf = ["{LEAF}"]
    backup = ["{BACKUP}"]
    {extra}
    """


def private(anchor: str) -> str:
    """Return a policy whose set rests on an anchor file."""
    return text(extra=f'trust = "private"\nanchors = ["{anchor}"]')


def hosts(policy: Policy) -> list[str]:
    """Return the hosts of the only set."""
    return [str(pattern) for pattern in policy.pin_sets[0].hosts]


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a policy file that was written long ago."""
    path = tmp_path / "pins.toml"
    path.write_text(text(), "utf-8")
    return path


@pytest.fixture
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a time stamp for final at once, so that a test sees what an old file does."""
    monkeypatch.setattr(module, "_TIME_STAMP_STEP", -1)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Count the readings of the policy."""
    counted: list[Path] = []

    def count(path: Path, before_read: Callable[[Path], None]) -> Policy:
        counted.append(path)
        return read_policy(path, before_read)

    monkeypatch.setattr(module, "read_policy", count)
    return counted


def test_the_file_is_read_at_construction(path: Path) -> None:
    """The policy is there at once, and nothing is wrong."""
    source = PolicyFile(path)

    assert ["api.example"] == hosts(source.current())
    assert source.last_error is None


def test_a_bad_file_cannot_be_started_with(path: Path) -> None:
    """Without a last good policy, a mistake is the caller's."""
    path.write_text("nonsense", "utf-8")
    with pytest.raises(PolicyError):
        PolicyFile(path)
    path.unlink()
    with pytest.raises(PolicyError):
        PolicyFile(path)


def rewrite(path: Path, content: str) -> None:
    """Write in place."""
    path.write_text(content, "utf-8")


def replace(path: Path, content: str) -> None:
    """Write beside it and rename, as editors and deployments do."""
    beside = path.with_suffix(".new")
    beside.write_text(content, "utf-8")
    beside.replace(path)


def link(path: Path, content: str) -> None:
    """Point a symbolic link at another file, as Kubernetes does."""
    target = path.with_name(f"target-{time.monotonic_ns()}")
    target.write_text(content, "utf-8")
    beside = path.with_suffix(".link")
    beside.symlink_to(target)
    beside.replace(path)


@pytest.mark.parametrize("change", [rewrite, replace, link])
def test_a_change_is_followed(path: Path, change: Callable[[Path, str], None]) -> None:
    """However the file changes, `refresh` takes the new policy into force, and says so once."""
    source = PolicyFile(path)
    for host in ("b.example", "c.example", "d.example"):
        change(path, text(host))

        assert source.refresh()
        assert not source.refresh()
        assert [host] == hosts(source.current())


def test_a_change_is_followed_in_the_background(path: Path) -> None:
    """`current` alone is enough: some later call returns the new policy."""
    source = PolicyFile(path, check_interval=0.01)
    replace(path, text("b.example"))

    eventually(lambda: hosts(source.current()) == ["b.example"])


def test_current_never_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a reading hangs, every call returns the last good policy, and no second one begins."""
    source = PolicyFile(path, check_interval=0)
    go_on, begun = threading.Event(), []

    def hang(path: Path, before_read: Callable[[Path], None]) -> Policy:
        begun.append(threading.current_thread())
        assert go_on.wait(PATIENCE)
        return read_policy(path, before_read)

    monkeypatch.setattr(module, "read_policy", hang)
    rewrite(path, text("b.example"))
    eventually(lambda: [source.current()] and begun)
    for _ in range(100):
        assert ["api.example"] == hosts(source.current())

    assert 1 == len(begun)
    assert begun[0] is not threading.main_thread()
    assert begun[0].daemon
    go_on.set()
    eventually(lambda: hosts(source.current()) == ["b.example"])


def test_nothing_is_looked_at_before_the_interval_has_passed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two checks `current` starts no thread and touches no file."""
    source = PolicyFile(path, check_interval=3600)
    monkeypatch.setattr(threading, "Thread", lambda *_, **__: pytest.fail("a thread was started"))
    rewrite(path, text("b.example"))
    for _ in range(100):
        source.current()

    assert ["api.example"] == hosts(source.current())


def test_no_thread_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started `current` still answers, and the next call tries again."""
    source = PolicyFile(path, check_interval=0)
    rewrite(path, text("b.example"))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert ["api.example"] == hosts(source.current())
    eventually(lambda: hosts(source.current()) == ["b.example"])


@pytest.mark.usefixtures("no_settling")
def test_an_unchanged_file_is_not_read_again(path: Path, readings: list[Path]) -> None:
    """A look at the files is enough where nothing has changed."""
    source = PolicyFile(path)
    for _ in range(5):
        assert not source.refresh()

    assert 1 == len(readings)


def test_a_fresh_file_is_read_once_more(path: Path, readings: list[Path]) -> None:
    """A change within the step of a time stamp cannot be seen, so a fresh file is read again."""
    source = PolicyFile(path)
    source.refresh()

    assert 2 == len(readings)


def test_a_change_that_keeps_size_and_time_is_seen(path: Path) -> None:
    """Setting the time back after an edit of the same length hides nothing."""
    old = path.stat()
    source = PolicyFile(path)
    rewrite(path, text("apx.example"[:11]))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))

    assert old.st_size == path.stat().st_size
    assert source.refresh()


def test_an_equal_policy_is_the_same_object(path: Path) -> None:
    """A comment changes the file, not the policy; who compares identities sees no change."""
    source = PolicyFile(path)
    before = source.current()
    rewrite(path, text() + "# a comment")

    assert not source.refresh()
    assert before is source.current()


def test_a_mistake_changes_nothing_and_is_said_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good policy stays in force; each distinct error is logged once, at ERROR."""
    source = PolicyFile(path)
    before = source.current()
    for content in ("nonsense", "nonsense", "nonsense", text("a b"), text("a b")):
        rewrite(path, content)
        assert not source.refresh()
        assert before is source.current()
        assert isinstance(source.last_error, PolicyError)

    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["holdfast.policy"] * 2 == [record.name for record in errors]
    assert "this is not TOML" in errors[0].getMessage()
    assert "pin_set.api.hosts[0]" in errors[1].getMessage()
    assert all("last good policy stays" in record.getMessage() for record in errors)

    rewrite(path, text("b.example"))
    assert source.refresh()
    assert source.last_error is None


def test_a_deleted_file_changes_nothing(path: Path) -> None:
    """A policy that is gone is an error to show, not the end of pinning; its return is noticed."""
    source = PolicyFile(path)
    before = source.current()
    path.unlink()
    source.refresh()

    assert before is source.current()
    assert "No such file" in str(source.last_error)
    rewrite(path, text())
    source.refresh()
    assert before is source.current()
    assert source.last_error is None


@pytest.mark.usefixtures("no_settling")
def test_a_passing_failure_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a reading fails although the file looks the same, the next check repeats it."""
    source = PolicyFile(path)
    replace(path, text("b.example"))

    def fail(path: Path, before_read: Callable[[Path], None]) -> Policy:
        before_read(path)
        raise OSError("too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(module, "read_policy", fail)
        assert not source.refresh()
    assert isinstance(source.last_error, OSError)

    assert source.refresh()
    assert ["b.example"] == hosts(source.current())


@pytest.mark.usefixtures("no_settling")
def test_anchor_files_are_followed(path: Path) -> None:
    """A changed, missing or new anchor is noticed although the policy's own file is the same."""
    anchor = path.with_name("root.pem")
    first, second = Authority.new("First"), Authority.new("Second")
    anchor.write_text(first.pem, "ascii")
    rewrite(path, private("root.pem"))
    source = PolicyFile(path)
    before = source.current()

    anchor.unlink()
    assert not source.refresh()
    assert "pin_set.api.anchors[0]" in str(source.last_error)
    anchor.write_text(first.pem, "ascii")
    assert not source.refresh()
    assert before is source.current()
    anchor.write_text(second.pem, "ascii")
    assert source.refresh()
    assert before.pin_sets[0].anchors != source.current().pin_sets[0].anchors


def test_a_relative_path_survives_a_change_of_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the one that was meant at construction."""
    monkeypatch.chdir(path.parent)
    source = PolicyFile(path.name)
    monkeypatch.chdir("/")
    rewrite(path, text("b.example"))

    assert source.refresh()


@pytest.fixture
def in_a_child() -> Callable[[Callable[[], object]], bool]:
    """Return a function that runs another in a forked child, and says whether it was true there."""

    def run(check: Callable[[], object]) -> bool:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if check() else 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    return run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_follows_the_file_although_a_check_was_in_flight(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_a_child: Callable[[Callable[[], object]], bool],
) -> None:
    """The thread that was checking does not exist in the child, which starts checks of its own."""
    source = PolicyFile(path, check_interval=0)
    go_on, begun = threading.Event(), threading.Event()
    parent = os.getpid()

    def hang(path: Path, before_read: Callable[[Path], None]) -> Policy:
        if os.getpid() == parent:
            begun.set()
            assert go_on.wait(PATIENCE)
        return read_policy(path, before_read)

    monkeypatch.setattr(module, "read_policy", hang)
    rewrite(path, text("b.example"))
    source.current()
    assert begun.wait(PATIENCE)

    def follows() -> bool:
        eventually(lambda: hosts(source.current()) == ["b.example"])
        return not source.refresh()

    try:
        assert in_a_child(follows)
    finally:
        go_on.set()
    eventually(lambda: hosts(source.current()) == ["b.example"])
