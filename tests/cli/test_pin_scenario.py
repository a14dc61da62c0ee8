"""From the first pin to a lost key, against the servers that people run."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import holdfast
from holdfast.lab.authorities import Authority, Identity

Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[[int], list[str]]

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/chain.pem;
    ssl_certificate_key {folder}/server.key;
    location / {{ return 200 "hello"; }}
  }}
}}
"""


def _which(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def _nginx(folder: Path, port: int) -> list[str]:
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    return [str(_which("nginx")), "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def _s_server(folder: Path, port: int) -> list[str]:
    return [
        *("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-WWW"),
        *("-cert", str(folder / "chain.pem"), "-cert_chain", str(folder / "chain.pem")),
        *("-key", str(folder / "server.key")),
    ]


@contextmanager
def _serving(
    command: Callable[[Path, int], list[str]], folder: Path, port: int, identity: Identity
) -> Iterator[None]:
    """Run a server that shows an identity, from when it accepts until the block ends."""
    (folder / "chain.pem").write_text(identity.chain_pem)
    (folder / "server.key").write_text(identity.key_pem)
    process = subprocess.Popen(command(folder, port), cwd=folder, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the server ended"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _talk(port: int) -> str:
    """Connect as a pinned client does; return the TLS version, or raise."""
    context = holdfast.PinningContext(holdfast.load_policy("pins.toml"), public_anchors="ca.pem")
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        return str(tls.version())


@pytest.mark.parametrize(
    ("program", "command"), [("nginx", _nginx), ("openssl", _s_server)], ids=["nginx", "s_server"]
)
def test_first_pin_lost_key_and_planned_switch(
    run: Run,
    folder: Path,
    authority: Authority,
    program: str,
    command: Callable[[Path, int], list[str]],
) -> None:
    """One step pins a real server; an unannounced key is refused, the backup key is not."""
    if _which(program) is None:
        pytest.skip(f"needs {program}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with _serving(command, folder, port, authority.issue("localhost")):
        pinned = run("pin", f"localhost:{port}", "--anchors", "ca.pem", "--new-backup", "next.key")
        assert (0, "") == (pinned.returncode, pinned.stderr)
        assert 0 == run("check", "--anchors", "ca.pem").returncode
        assert _talk(port) in {"TLSv1.2", "TLSv1.3"}

    with _serving(command, folder, port, authority.issue("localhost")):
        changed = run("check", "--anchors", "ca.pem")
        assert (1, True) == (changed.returncode, "observed   new-key" in changed.stdout)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            _talk(port)
        assert isinstance(caught.value, holdfast.PinViolationError)

    backup = load_pem_private_key((folder / "next.key").read_bytes(), None)
    with _serving(command, folder, port, authority.issue("localhost", key=backup)):  # type: ignore[arg-type]
        switched = run("check", "--anchors", "ca.pem")
        assert (0, True) == (switched.returncode, "HF207" in switched.stdout)
        assert _talk(port) in {"TLSv1.2", "TLSv1.3"}
