"""The command line run in this process, in a folder of its own, and a CA to run servers with."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.cli.main import main
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which commands run, which holds nothing yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOLDFAST_POLICY", "HOLDFAST_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `holdfast` with arguments."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        code = main(words)
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, captured.out, captured.err)

    return run


@pytest.fixture
def authority(folder: Path) -> Authority:
    """Return an issuing CA; its root is in `ca.pem`."""
    root = Authority.new("test root")
    (folder / "ca.pem").write_text(root.pem)
    return root.intermediate("test issuing CA")


@pytest.fixture
def identity(authority: Authority) -> Identity:
    """Return what the server shows at first."""
    return authority.issue("localhost")


@pytest.fixture
def server(identity: Identity) -> Iterator[LabServer]:
    """Return a running HTTPS server for localhost."""
    with LabServer(identity) as running:
        yield running


@pytest.fixture
def place(server: LabServer) -> str:
    """Return the server as a HOST argument."""
    return f"localhost:{server.port}"
