import socket
import ssl

import pytest

from holdfast.lab import resumption
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage of which nothing is changed."""
    return Stage.new()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "_NOTICE", 0)


def _ask(
    server: LabServer,
    context: ssl.SSLContext,
    host: str,
    path: str,
    session: ssl.SSLSession | None = None,
) -> tuple[str, ssl.SSLSession | None, bool | None]:
    """Return where the server sends a client to, its session, and if one was resumed."""
    with (
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
        context.wrap_socket(tcp, server_hostname=host, session=session) as tls,
    ):
        tls.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = tls.recv(65536).decode()
        while tls.recv(65536):
            pass
        location = answer.partition("location: ")[2].partition("\r\n")[0]
        return location, tls.session, tls.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_good_for_the_other_host(stage: Stage, version: ssl.TLSVersion) -> None:
    """A client that keeps its session by port resumes it under another name: the trap is armed."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    identity = stage.rogue.issue(stage.host, "127.0.0.1")
    with resumption.two_hosts(stage, identity, version) as server:
        location, session, _ = _ask(server, context, "127.0.0.1", "/")
        _, _, resumed = _ask(server, context, stage.host, "/1", session)
        first, second = server.wait_for(2)

    assert f"https://localhost:{server.port}/1" == location
    assert resumed
    assert (True, False) == (first.prelude, second.prelude)
    assert second.resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_outlives_the_denial(stage: Stage, version: ssl.TLSVersion) -> None:
    """The policy denies the key after the first visit, and the session goes on being good."""
    published: list[str] = []
    told = Stage.new()
    object.__setattr__(told, "publish", published.append)
    context = ssl.create_default_context(cadata=told.anchors_pem)
    with resumption.key_denied_meanwhile(told, version) as server:
        again, session, _ = _ask(server, context, told.host, "/")
        denied = list(published)
        last, session, _ = _ask(server, context, told.host, again, session)
        _, _, resumed = _ask(server, context, told.host, "/2", session)

    assert (again, last) == ("/1", f"https://localhost:{server.port}/2")
    (policy,) = denied
    assert f'denied = ["{told.pin}"]' in policy
    assert resumed


def test_the_control_changes_key_after_the_policy(stage: Stage) -> None:
    """The new key is pinned before it is shown, beside the old one."""
    published: list[str] = []
    told = Stage.new()
    object.__setattr__(told, "publish", published.append)
    context = ssl.create_default_context(cadata=told.anchors_pem)
    with resumption.key_replaced_meanwhile(told, ssl.TLSVersion.TLSv1_3) as server:
        leaves = []
        for path in ("/", "/1", "/2"):
            with (
                socket.create_connection((server.address, server.port), timeout=5) as tcp,
                context.wrap_socket(tcp, server_hostname=told.host) as tls,
            ):
                leaves.append(tls.getpeercert(binary_form=True))
                tls.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                while tls.recv(65536):
                    pass

    assert [told.server.der] * 2 == leaves[:2]
    assert leaves[2] != told.server.der
    (policy,) = published
    assert told.pin in policy
    assert "denied = []" in policy
