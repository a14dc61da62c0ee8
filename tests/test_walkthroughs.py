"""The sessions of the README, the quickstart and the examples are real: run as they stand.

In a session, `...` stands for any lines. Pins, times and the width of columns are not compared.
"""

import doctest
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from holdfast.cli.main import holdfast, main
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer
from tests.cli.updates.policy_file import LEAF, write_policy

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
CEREMONIES = ROOT / "docs" / "updates.md"
UPDATES = ROOT / "examples" / "updates" / "README.md"
LONGEST_README = 150

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PIN = re.compile(r"sha256/[A-Za-z0-9+/]+(=|\.\.\.)")
MARK = "@@"

# What a page's reader has, and the wait for a server that a person would not notice.
SHELL = f"""
exec 2>&1
PATH=$PWD/.commands:$PATH
python() {{ {shlex.quote(sys.executable)} "$@"; }}
kill() {{ builtin kill "$@"; wait "$@"; }} 2>/dev/null
trap 'kill $!' EXIT
await() {{
    for _ in $(seq 100); do (: </dev/tcp/127.0.0.1/$1) 2>/dev/null && return; sleep 0.1; done
}}
"""


class Typed(NamedTuple):
    """A line that is typed, and what has to come out."""

    command: str
    output: list[str]


def _blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in FENCE.findall(page.read_text("utf-8")) if name == language]


def _typed(session: str) -> Iterator[Typed]:
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, *output = part.splitlines()
        yield Typed(command, output)


def _normal(line: str) -> str:
    return " ".join(PIN.sub("PIN", line).split()) + "\n"


def _assert_shown(expected: list[str], actual: str) -> None:
    patterns = [r"(?:.*\n)*" if line == "..." else re.escape(_normal(line)) for line in expected]

    assert re.fullmatch("".join(patterns), "".join(map(_normal, actual.splitlines()))), actual


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Return a CA whose certificate is `ca.pem` in the working directory, which is a new one."""
    made = Authority.new("Example CA")
    (tmp_path / "ca.pem").write_text(made.pem, "ascii")
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def server(authority: Authority) -> Iterator[LabServer]:
    """Yield the server that the README talks to."""
    with LabServer(authority.issue("localhost")) as running:
        yield running


def _readme(language: str, server: LabServer) -> list[str]:
    """Return the blocks of the README, with the port that the server has here."""
    ours = f"localhost:{server.port}"
    return [text.replace("localhost:48443", ours) for text in _blocks(README, language)]


def _run_doctest(text: str, names: dict[str, object]) -> None:
    examples = doctest.DocTestParser().get_doctest(text, names, README.name, None, 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(examples, out=report.append, clear_globs=False)
    names.update(examples.globs)

    assert (0, len(examples.examples)) == (result.failed, result.attempted), "".join(report)


def test_readme_session(
    server: LabServer, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command at the top of the README prints what stands under it, as the keys change."""
    codes = []
    for command, output in _typed(_readme("console", server)[0]):
        if "somebody else answers" in command:
            server.switch(authority.issue("localhost"))
        elif "switches to next.key" in command:
            key = load_pem_private_key(Path("next.key").read_bytes(), password=None)
            assert isinstance(key, EllipticCurvePrivateKey)
            server.switch(authority.issue("localhost", key=key))
        else:
            codes.append(main(shlex.split(command)[1:]))
            _assert_shown(output, capsys.readouterr().out)

    assert [0, 0, 1, 0] == codes


def test_readme_python(server: LabServer, authority: Authority) -> None:
    """The first Python example of the README reaches the pinned server, the second is refused."""
    pin = next(_typed(_readme("console", server)[0])).command
    assert 0 == main(shlex.split(pin)[1:])
    reached, refused = _readme("python", server)
    names: dict[str, object] = {}

    _run_doctest(reached, names)
    server.switch(authority.issue("localhost"))
    _run_doctest(refused, names)


def test_readme_is_read_to_its_end() -> None:
    """The README stays short, and begins with a session."""
    lines = README.read_text("utf-8").splitlines()

    assert len(lines) <= LONGEST_README
    assert "```console" in lines[:20]


def test_each_command_shown_exists() -> None:
    """Each `holdfast ...` of the two pages is a command, and has the options that it is given."""
    sessions = [*_blocks(README, "console"), *_blocks(QUICKSTART, "console")]
    typed = [one.command for session in sessions for one in _typed(session)]
    shown = [line for line in typed if line.startswith("holdfast ")]
    named = re.findall(
        r"`(holdfast [a-z]+(?:-[a-z]+)*(?: [a-z]+(?:-[a-z]+)*)*)", README.read_text("utf-8")
    )

    assert len(shown) > 5 < len(named)
    for line in shown + named:
        words = shlex.split(line.partition(";")[0], comments=True)[1:]
        command: click.Command = holdfast
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        options = {name for parameter in command.params for name in parameter.opts}
        assert set() == {word for word in words if word.startswith("--")} - options, line


def _assert_typed(page: Path, sessions: list[str], program: str, folder: Path, port: int) -> None:
    """Type sessions into a shell, with the page's program at hand, and compare what comes out."""
    if not (shutil.which("bash") and shutil.which("openssl")):
        pytest.skip("bash or openssl is not installed")
    typed = [one for session in sessions for one in _typed(session)]
    (text,) = _blocks(page, "python")
    (folder / program).write_text(text.replace("8443", str(port)), "utf-8")
    # No function of the shell: `kill` would end the shell that runs it, and not what it runs.
    command_file = folder / ".commands" / "holdfast"
    command_file.parent.mkdir()
    command_file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m holdfast "$@"\n')
    command_file.chmod(0o755)
    lines = [SHELL]
    for command, _ in typed:
        wait = f"await {port}\n" if command.endswith("&") else ""
        lines.append(f"echo {MARK}\n{command}\n{wait}")

    ran = subprocess.run(
        ["bash", "-c", "".join(lines).replace("8443", str(port))],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )

    printed = ran.stdout.split(f"{MARK}\n")[1:]
    assert len(typed) == len(printed), ran
    for (command, output), actual in zip(typed, printed, strict=True):
        if output:
            _assert_shown(output, actual.replace(str(port), "8443"))
        else:
            assert "error" not in actual.lower(), (command, actual)


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.timeout(90)
def test_quickstart(tmp_path: Path, port: int) -> None:
    """The quickstart, typed into a shell line by line, prints what stands there."""
    if shutil.which("openssl"):
        version = subprocess.check_output(["openssl", "version"], text=True)
        if not version.startswith("OpenSSL 3"):
            pytest.skip(f"the quickstart needs OpenSSL 3, not {version}")
    _assert_typed(QUICKSTART, _blocks(QUICKSTART, "console"), "fetch.py", tmp_path, port)


@pytest.mark.full
@pytest.mark.timeout(90)
def test_the_walk_through_of_updates() -> None:
    """Each step of the example has the result that it tells of, and that its page shows."""
    script = ROOT / "examples" / "updates" / "walk_through.py"
    told = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    results = [line.strip() for line in told.stdout.splitlines()[1::2]]

    (shown,) = _typed(_blocks(UPDATES, "console")[0])
    _assert_shown(shown.output, told.stdout)
    assert 18 == len(results)
    assert "timestamp version 4 must be >= 5" in results[13]
    assert "signed by 0/1 keys" in results[15]
    assert "mode goes from enforce to report-only" in results[16]
    assert "offline threshold" in results[16]


@pytest.mark.full
@pytest.mark.timeout(90)
def test_updates_by_hand(tmp_path: Path, port: int) -> None:
    """The page beside it, typed into a shell line by line, prints what stands there."""
    _assert_typed(UPDATES, _blocks(UPDATES, "console")[1:], "follow.py", tmp_path, port)


def test_the_ceremonies_of_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command does what it says, in its order; put in are a yes and that no server runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", "passphrase")
    Path("passphrase").write_text("correct horse\n")
    write_policy(tmp_path, LEAF)
    text = CEREMONIES.read_text("utf-8").partition("\n## Ceremonies\n")[2].partition("\n## ")[0]
    (settings,) = [block for language, block in FENCE.findall(text) if language == "toml"]
    people, first, policy, leave = [
        block.splitlines() for language, block in FENCE.findall(text) if language == "sh"
    ]

    _type(people)
    Path("repository/cards").mkdir(parents=True)
    for card in tmp_path.glob("usb-*/*.card.json"):
        shutil.copy(card, "repository/cards")
    Path("repository/repository.toml").write_text(settings)
    _type(first)
    shutil.copy("repository/metadata/1.root.json", "root.json")
    _type(policy)
    assert "2 of alice, bob, carol" in capsys.readouterr().out
    _type(["holdfast updates new-key usb-dave --owner dave"])
    shutil.copy("usb-dave/dave.card.json", "repository/cards")
    Path("repository/repository.toml").write_text(settings.replace("carol", "dave", 1))
    _type(leave)

    root = json.loads(Path("repository/metadata/2.root.json").read_bytes())["signed"]
    owners = {root["keys"][key]["x-holdfast-owner"] for key in root["roles"]["root"]["keyids"]}
    assert {"alice", "bob", "dave"} == owners


def _type(lines: list[str]) -> None:
    """Run lines of a page, all of which have to succeed."""
    for line in lines:
        program, *words = shlex.split(line, comments=True) or ["#"]
        if program == "cp":
            shutil.copy(*words)
        elif program == "holdfast":
            meant = ["--yes"] * ("sign" in words) + ["--skip-live"] * ("--rules" in words)
            assert 0 == main([*words, *meant]), line
        else:
            assert program == "#", line
