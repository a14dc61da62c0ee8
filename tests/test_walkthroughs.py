"""The sessions of the README and the quickstart are real: run as they stand, with these results.

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
UPDATES = ROOT / "docs" / "updates.md"
LONGEST_README = 150

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PIN = re.compile(r"sha256/[A-Za-z0-9+/]+(=|\.\.\.)")
MARK = "@@"

# What the quickstart's reader has, and the wait for a server that a person would not notice.
SHELL = f"""
exec 2>&1
holdfast() {{ {shlex.quote(sys.executable)} -m holdfast "$@"; }}
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
    named = re.findall(r"`(holdfast [a-z]+(?: [a-z]+)*)", README.read_text("utf-8"))

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


@pytest.mark.timeout(90)
def test_quickstart(tmp_path: Path) -> None:
    """The quickstart, typed into a shell line by line, prints what stands there."""
    if not (shutil.which("bash") and shutil.which("openssl")):
        pytest.skip("bash or openssl is not installed")
    version = subprocess.check_output(["openssl", "version"], text=True)
    if not version.startswith("OpenSSL 3"):
        pytest.skip(f"the quickstart needs OpenSSL 3, not {version}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    typed = [one for session in _blocks(QUICKSTART, "console") for one in _typed(session)]
    (program,) = _blocks(QUICKSTART, "python")
    (tmp_path / "fetch.py").write_text(program.replace("8443", str(port)), "utf-8")
    lines = [SHELL]
    for command, _ in typed:
        wait = f"await {port}\n" if "s_server" in command else ""
        lines.append(f"echo {MARK}\n{command}\n{wait}")

    ran = subprocess.run(
        ["bash", "-c", "".join(lines).replace("8443", str(port))],
        cwd=tmp_path,
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


def test_the_walk_through_of_updates() -> None:
    """Each step of the example has the result that it tells of."""
    script = ROOT / "examples" / "updates" / "walk_through.py"
    told = subprocess.run(
        [sys.executable, script], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    results = [line.strip() for line in told[1::2]]

    assert 13 == len(results)
    assert ["serial 1, fresh", "answered with 200", "answered with 200"] == results[3:6]
    assert "PinViolationError" == results[7]
    assert ["refused: the policy denies a key on the path"] * 2 == [results[8], results[10]]
    assert "version 2 must be >= 3" in results[9]
    assert "signed by 0/1 keys" in results[11]
    assert "--rules" in results[12]


def test_the_ceremonies_of_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of the page does what it says, in its order; only `--yes` is put in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_PASSPHRASE_FILE", "passphrase")
    Path("passphrase").write_text("correct horse\n")
    write_policy(tmp_path, LEAF)
    text = UPDATES.read_text("utf-8").partition("\n## Ceremonies\n")[2].partition("\n## ")[0]
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
            assert 0 == main([*words, "--yes"] if "sign" in words else words), line
        else:
            assert program == "#", line
