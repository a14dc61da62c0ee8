import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.client_process import ClientCommand, Ending

VALUES = {"url": "https://localhost:1/", "anchors": "/a.pem"}


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be reaped does not."""
    listing = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return listing.stdout[:1] not in {"", "Z"}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ending]:
    """Return a function that runs a command to its end."""

    def run(*words: str, timeout: float = 15, **values: str) -> Ending:
        return ClientCommand(words, timeout=timeout).run(VALUES | values, tmp_path / "output")

    return run


def test_the_end_is_told(run: Callable[..., Ending]) -> None:
    """Exit code and last line say how it ended; a signal is negative."""
    assert Ending(3, "second") == run("sh", "-c", "echo first; echo second; echo; exit 3")
    assert Ending(-11, "") == run("sh", "-c", "kill -SEGV $$")


@pytest.mark.parametrize("ending", ["wait", "exit"])
def test_nothing_is_left_running(ending: str, run: Callable[..., Ending], tmp_path: Path) -> None:
    """However a run ends, the client and what it started are gone."""
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! >'{pids}'; echo $$ >>'{pids}'; {ending}"
    ended = run("sh", "-c", script, timeout=1)

    assert (None if ending == "wait" else 0) == ended.exit_code
    for pid in pids.read_text().split():
        for _ in range(100):  # to be killed is one thing, to be gone another
            if not _is_alive(int(pid)):
                break
        assert not _is_alive(int(pid))


def test_place_holders_and_variables(
    run: Callable[..., Ending], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Values stand in the command line and in variables, what is trusted in the usual places."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    file = tmp_path / "seen"
    source = (
        "import json, os, sys\n"
        f"open({str(file)!r}, 'w').write(json.dumps({{'argv': sys.argv[1:], **os.environ}}))"
    )
    run(sys.executable, "-c", source, "{url}", "{other}")
    seen = json.loads(file.read_text())

    assert [VALUES["url"], "{other}"] == seen["argv"]
    assert VALUES["url"] == seen["HOLDFAST_LAB_URL"]
    assert {"/a.pem"} == {seen[name] for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")}
    assert not {"https_proxy", "HTTPS_PROXY", "NO_PROXY"} & seen.keys()


def test_a_proxy_is_named_in_the_usual_places(run: Callable[..., Ending]) -> None:
    """A client behind a proxy finds it without being told how."""
    ended = run("sh", "-c", "echo $https_proxy $HTTPS_PROXY {proxy}", proxy="http://127.0.0.1:9")

    assert " ".join(["http://127.0.0.1:9"] * 3) == ended.last_line


def test_stopping_kills_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    """After `stop` a run that was under way has ended, and the next one does not begin."""
    command = ClientCommand(["sh", "-c", f"echo $$ >'{tmp_path}/pid'; exec sleep 600"], timeout=30)
    endings: list[Ending] = []
    thread = threading.Thread(
        target=lambda: endings.append(command.run(VALUES, tmp_path / "output"))
    )
    thread.start()
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        thread.join(0.01)
    command.stop()
    thread.join(10)
    (tmp_path / "pid").unlink()
    endings.append(command.run(VALUES, tmp_path / "output"))

    assert [Ending(-9, ""), Ending(None, "")] == endings
    assert not pid.exists()


def test_what_a_command_takes() -> None:
    """A place-holder counts, and so does the variable of the same name."""
    command = ClientCommand(["sh", "-c", "{pin}", "$HOLDFAST_LAB_BACKUP"], timeout=1)

    assert [True, True, False] == [command.takes(name) for name in ("pin", "backup", "policy")]


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "no command"), (["no-such-program-anywhere"], "command not found: no-such-program")],
)
def test_no_such_command(words: list[str], message: str) -> None:
    """A command that cannot be run is told before anything starts."""
    with pytest.raises(HoldfastError, match=message):
        ClientCommand(words, timeout=1)
