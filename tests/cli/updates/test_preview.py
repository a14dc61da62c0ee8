import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.updates.signed_repository import SignedRepository

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_repository_is_served_until_it_is_ended(tmp_path: Path) -> None:
    """Its files are, to who trusts the CA that is written; its folders are not listed."""
    repository = SignedRepository(now=datetime.now(UTC))
    for name, content in repository.files.items():
        file = tmp_path / "repo" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    command = [sys.executable, "-m", "holdfast", "updates", "preview", "repo", "--ca", "ca.pem"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with urlopen(f"{url}metadata/1.root.json", context=context) as response:
            served = response.read()
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{url}metadata/", context=context)
        server.send_signal(signal.SIGTERM)

        assert 0 == server.wait(5)
    assert repository.root_bytes == served


def test_what_is_no_repository_is_told(run: Run) -> None:
    """Before anything listens."""
    done = run("updates", "preview", ".", "--ca", "ca.pem")

    assert 2 == done.returncode
    assert "updates init" in done.stderr
