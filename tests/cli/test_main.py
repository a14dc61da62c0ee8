import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from holdfast.cli.main import holdfast

Run = Callable[..., subprocess.CompletedProcess[str]]

TEN_MISTAKES = """\
[holdfast]
format = 1
unlisted = "maybe"
typo = 1

[pin_set.a]
hosts = ["exa mple.com", "*.foo.*"]
mode = "enforced"
leaf = ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha1/abc", ""]
expires = 2027-06-30T00:00:00
on_expiry = "enforce"

[pin_set.b]
hosts = ["b.example.com"]
mode = "report-only"
leaf = ["sha256/vZ1K36zIadWpkQFE3PJMRnnAya3xf1TYKtyRMtWKw9E="]
owner = 3
"""
PLACES = [
    "holdfast.typo",
    "holdfast.unlisted",
    "pin_set.a.expires",
    "pin_set.a.hosts[0]",
    "pin_set.a.hosts[1]",
    "pin_set.a.leaf[0]",
    "pin_set.a.leaf[1]",
    "pin_set.a.leaf[2]",
    "pin_set.a.mode",
    "pin_set.b.owner",
]


def test_ten_mistakes_are_ten_messages(run: Run, folder: Path) -> None:
    """A policy with ten mistakes gets ten errors with their places, a hint each, and code 2."""
    (folder / "pins.toml").write_text(TEN_MISTAKES)

    ran = run("check")

    lines = ran.stderr.splitlines()
    errors = [line for line in lines if line.startswith("holdfast: error: pins.toml: ")]
    assert PLACES == sorted(line.split(": ")[3] for line in errors)
    assert ["holdfast: hint: "] * 10 == [line[:16] for line in lines[1::2]]
    assert (2, "") == (ran.returncode, ran.stdout)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("pni",), "no such command 'pni'"),
        (("pin",), "missing argument 'HOST[:PORT]...'"),
        (("check", "--concurrency", "0"), "invalid value for '--concurrency': 0 is not in the"),
        (("lint", "--format", "xml"), "invalid value for '--format': 'xml' is not one of 'table'"),
        (("check",), "pins.toml: it cannot be read: No such file or directory"),
        (("check", "--policy", "."), ".: it cannot be read: Is a directory"),
        (("pin", "https://"), "'' is not a host name"),
        (("pin", "gopher://x"), "'gopher://x' is not an endpoint"),
        (("pin", "x:99999"), "'x:99999' is not an endpoint"),
    ],
)
def test_bad_input_is_told_in_two_lines(run: Run, arguments: tuple[str, ...], error: str) -> None:
    """Wrong usage and bad input give an error, a hint, code 2 and never a traceback."""
    ran = run(*arguments)

    first, second = ran.stderr.splitlines()
    assert first.startswith(f"holdfast: error: {error}")
    assert second.startswith("holdfast: hint: ")
    assert (2, "") == (ran.returncode, ran.stdout)


@pytest.mark.parametrize("arguments", [(), ("key",)])
def test_command_without_arguments_shows_its_help(run: Run, arguments: tuple[str, ...]) -> None:
    """What cannot be run alone says what can be written behind it, on stderr, with code 2."""
    ran = run(*arguments)

    assert "Commands:" in ran.stderr
    assert (2, "") == (ran.returncode, ran.stdout)


@pytest.mark.parametrize("command", holdfast.list_commands(click.Context(holdfast)))
def test_each_command_has_help(run: Run, command: str) -> None:
    """Each command that is listed can be imported and explains itself."""
    ran = run(command, "--help")

    assert ran.stdout.startswith(f"Usage: holdfast {command}")
    assert (0, "") == (ran.returncode, ran.stderr)


def test_help_imports_no_command() -> None:
    """`holdfast --help` is quick: it loads neither the commands nor their libraries."""
    program = (
        "import sys; from holdfast.cli.main import main; main(['--help'])\n"
        "heavy = {'cryptography', 'rich', 'tomlkit', 'certifi', 'holdfast.cli.pin'}\n"
        "print(heavy & sys.modules.keys(), file=sys.stderr)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert "set()\n" == ran.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.Abort])
def test_interrupt_is_quiet(
    run: Run, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    """Ctrl-C ends with 130, as shells have it, and without a word."""

    def interrupted(*_arguments: object, **_options: object) -> None:
        raise stop

    monkeypatch.setattr(holdfast, "main", interrupted)

    ran = run("check")

    assert (130, "", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_refusal_of_the_system_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system refuses, without a file to blame, is told and not determined."""

    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENETDOWN, "Network is down")

    monkeypatch.setattr(holdfast, "main", refused)

    ran = run("check")

    assert (3, "holdfast: error: Network is down\n") == (ran.returncode, ran.stderr)


def test_unforeseen_error_shows_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError that is no answer of the system is a bug, and is not dressed up as bad input."""

    def broken(*_arguments: object, **_options: object) -> None:
        raise OSError("something odd")

    monkeypatch.setattr(holdfast, "main", broken)

    with pytest.raises(OSError, match="something odd"):
        run("check")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_is_quiet(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    """A reader that has seen enough ends the command without a message, as SIGPIPE would."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.close(reading)

    ran = subprocess.run(
        [sys.executable, "-m", "holdfast", "key", "pin", "--hex-spki", "ab" * 32],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )

    os.close(writing)
    assert (141, "") == (ran.returncode, ran.stderr)
