import os
import re
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import holdfast
from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"
_FILE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _fetch(url: str, context: ssl.SSLContext) -> bytes:
    with urlopen(url, context=context) as response:
        return bytes(response.read())


def _violation(url: str, context: ssl.SSLContext) -> holdfast.Violation | None:
    with pytest.raises(URLError) as caught:
        _fetch(url, context)
    return holdfast.violation_from(caught.value)


def test_the_documented_tests_pass(tmp_path: Path) -> None:
    """The tests that docs/testing.md shows work for a stranger as they stand there."""
    for name, text in _FILE.findall(PAGE.read_text("utf-8")):
        (tmp_path / name).write_text(text, "utf-8")

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
        text=True,
    )

    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_pinned_server_is_reached(pinned_server: PinnedServer) -> None:
    """A pinned client gets its answer, and the log shows what it sent."""
    assert b"hello from the lab\n" == _fetch(pinned_server.url, pinned_server.context())

    pinned_server.wait_for(closed=1)
    assert pinned_server.received.startswith(b"GET / HTTP/1.1\r\n")
    assert len(pinned_server.received) == pinned_server.application_bytes
    assert f"https://{pinned_server.host}:{pinned_server.port}" == pinned_server.url


@pytest.mark.threat("T09")
def test_renewal_and_next_key(pinned_server: PinnedServer) -> None:
    """A new certificate for the same key and the key in reserve are both accepted."""
    pinned_server.renew_certificate()
    _fetch(pinned_server.url, pinned_server.context())
    pinned_server.switch_to_next_key()
    _fetch(pinned_server.url, pinned_server.context())

    assert 2 == len(pinned_server.wait_for(closed=2))
    assert pinned_server.application_bytes > 0


def test_unannounced_key(pinned_server: PinnedServer) -> None:
    """A key that nobody pinned is refused before anything is sent."""
    pinned_server.switch_to_unannounced_key()

    violation = _violation(pinned_server.url, pinned_server.context())

    assert violation is not None
    assert holdfast.Outcome.MISMATCH is violation.verdict.outcome
    pinned_server.wait_for(closed=1)
    assert b"" == pinned_server.received


def test_impostor(pinned_server: PinnedServer) -> None:
    """The impostor fools a client that trusts the anchors, and gets nothing from a pinned one."""
    unpinned = ssl.create_default_context(cafile=pinned_server.anchors_path)
    assert b"hello from the lab\n" == _fetch(pinned_server.impostor.url, unpinned)
    pinned_server.impostor.wait_for(closed=1)
    fooled = pinned_server.impostor.application_bytes

    violation = _violation(pinned_server.impostor.url, pinned_server.context())

    assert violation is not None
    pinned_server.impostor.wait_for(closed=2)
    assert 0 < fooled == pinned_server.impostor.application_bytes


def test_policy_file_and_sink(pinned_server: PinnedServer) -> None:
    """The file holds the policy, and a sink is told what was refused."""

    class Sink:
        def __init__(self) -> None:
            self.seen: list[holdfast.Violation] = []

        def report(self, violation: holdfast.Violation) -> None:
            self.seen.append(violation)

    assert pinned_server.policy == holdfast.load_policy(pinned_server.policy_path)
    sink = Sink()

    violation = _violation(pinned_server.impostor.url, pinned_server.context(sink=sink))

    assert [violation] == sink.seen


def test_mode_and_server_of_ones_own(tmp_path: Path) -> None:
    """A `PinnedServer` made by hand takes the mode, and how to serve."""
    serve = partial(LabServer, body=b"another body")
    with PinnedServer(tmp_path, mode=holdfast.Mode.REPORT_ONLY, serve=serve) as server:
        assert b"another body" == _fetch(server.url, server.context())
        assert b"another body" == _fetch(server.impostor.url, server.context())
