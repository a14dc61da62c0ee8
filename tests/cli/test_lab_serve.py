import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts `holdfast lab serve`, with stdin and stderr to talk to."""
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "lab", "serve", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes
            process.kill()


def _read_until(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found.group(1)
    raise AssertionError(f"the command said nothing like {pattern}")


def _visit(url: str, context: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(url, context=context, timeout=5) as response:
            return bool(response.read())
    except urllib.error.URLError:
        return False


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_stepping_through(serve: Serve) -> None:
    """Enter goes from the honest server to each attack; what came is judged at the end."""
    process = serve("rogue_ca", "expired_right_key", "--format", "json")
    anchors = _read_until(process, "for the device: (.*anchors.pem)")
    context = ssl.create_default_context(cafile=anchors)
    url = _read_until(process, "honest server: (https://[^,]*)")
    visits = [_visit(url, context)]
    for _ in range(2):
        _go_on(process)
        url = _read_until(process, "attack . of 2: (https://[^,]*)")
        visits.append(_visit(url, context))
    _go_on(process)
    output, _ = process.communicate(timeout=10)

    assert [True, True, False] == visits
    assert 1 == process.returncode
    assert ["missed", "caught"] == [one["outcome"] for one in json.loads(output)["results"]]
    assert not Path(anchors).exists()


def test_a_device_that_refuses_the_honest_server(serve: Serve) -> None:
    """To catch attacks counts for nothing where the honest server was refused."""
    process = serve("self_signed", "--format", "json")
    url = _read_until(process, "honest server: (https://[^,]*)")
    refusing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert not _visit(url, refusing)
    _go_on(process)
    url = _read_until(process, "attack 1 of 1: (https://[^,]*)")
    assert not _visit(url, refusing)
    _go_on(process)
    output, _ = process.communicate(timeout=10)

    assert ["refused-honest"] == [one["outcome"] for one in json.loads(output)["results"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: int, serve: Serve, tmp_path: Path) -> None:
    """What was served so far is judged, no server and no file is left."""
    process = serve("--all", "--format", "json")
    assert process.stdin is not None
    port = int(_read_until(process, r"listening on 127.0.0.1, port (\d+)"))
    _read_until(process, "(honest server)")
    process.stdin.close()  # nobody is there to press Enter
    process.send_signal(number)
    assert process.stdout is not None
    output = process.stdout.read()

    assert 3 == process.wait(10)
    results = json.loads(output)["results"]
    assert {"not-applicable"} >= {one["outcome"] for one in results}
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_going_on_by_the_clock(run: Run, folder: Path) -> None:
    """With --seconds nobody has to press a key, and the folder stays when it was named."""
    done = run("lab", "serve", "rogue_ca", "--seconds", "0.01", "--folder", "kit")

    assert (3, "1 not-applicable") == (done.returncode, done.stdout.splitlines()[-1])
    assert "nobody came" in done.stdout
    assert ["anchors.pem", "client.pem", "pins.toml"] == sorted(
        file.name for file in (folder / "kit").iterdir()
    )


def test_what_cannot_be_served(run: Run) -> None:
    """An attack that needs more than a server is skipped, with the reason."""
    done = run("lab", "serve", "secrets_logged", "--seconds", "0.01")

    assert (3, "1 not-applicable") == (done.returncode, done.stdout.splitlines()[-1])
    assert "its proxy and its variables" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which attacks are to be served?"),
        (["--all", "rogue_ca"], "which attacks are to be served?"),
        (["nonsense"], "no attack is called 'nonsense'"),
        (["rogue_ca", "--host", "a b"], "a b"),
        (["rogue_ca", "--seconds", "0"], "'--seconds'"),
        (["rogue_ca", "--port", "70000"], "'--port'"),
        (["rogue_ca", "--bind", "here"], "'here' is no IP address"),
    ],
)
def test_bad_input(words: list[str], message: str, run: Run) -> None:
    """What cannot be done is told in one line, and exit code 2."""
    done = run("lab", "serve", *words)

    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert done.stderr.startswith("holdfast: error: ")
