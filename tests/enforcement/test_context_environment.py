"""Variables of the environment that change what OpenSSL trusts, allows and gives away.

OpenSSL reads them when a process begins, so that each case is a process of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.testing import PinnedServer

OTHERS = re.compile("^SSL|^OPENSSL|proxy", re.IGNORECASE)
ANSWERED, REFUSED, UNTRUSTED = "HTTP/1.1 200", "mismatch", "untrusted"

_PROGRAM = """\
import pathlib, socket, ssl, sys
import holdfast

def install(make):
    first = make()
    holdfast.install(holdfast.load_policy("pins.toml"))
    return first

def named():
    context = ssl.create_default_context()
    context.keylog_filename = "named.log"
    return context

contexts = {
    "stock": ssl.create_default_context,
    "pinned": lambda: holdfast.PinningContext(holdfast.load_policy("pins.toml")),
    "process-wide": lambda: install(lambda: None) or ssl.create_default_context(),
    "process-wide, made before": lambda: install(ssl.create_default_context),
    "process-wide, named by the application": lambda: install(lambda: None) or named(),
}
context = contexts[sys.argv[1]]()
for port in map(int, sys.argv[2:]):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
                print(tls.recv(12).decode())
        except holdfast.PinViolationError as error:
            print(error.violation.verdict.outcome)
        except ssl.SSLCertVerificationError:
            print("untrusted")
print("renegotiates unsafely:", bool(context.options & 0x40000))
"""
# What OpenSSL's configuration can loosen. Python sets ciphers and levels of its own over some of
# it, but not over the option, which so shows that the file was read.
_LOOSE = """\
openssl_conf = openssl
[openssl]
ssl_conf = ssl
[ssl]
system_default = loose
[loose]
CipherString = ALL:@SECLEVEL=0
MinProtocol = TLSv1
Options = UnsafeLegacyRenegotiation
"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(pinned_server: PinnedServer) -> Run:
    """Return a function that visits server and impostor in a process with these variables.

    It returns what came of each, and whether the loose configuration was read.
    """

    def run(kind: str, **variables: str | Path) -> list[str]:
        kept = {name: value for name, value in os.environ.items() if not OTHERS.search(name)}
        setting = {"SSL_CERT_FILE": pinned_server.anchors_path, **variables}
        ended = subprocess.run(
            [
                sys.executable,
                "-c",
                _PROGRAM,
                kind,
                str(pinned_server.port),
                str(pinned_server.impostor.port),
            ],
            cwd=pinned_server.policy_path.parent,
            env={**kept, **{name: str(value) for name, value in setting.items()}},
            capture_output=True,
            check=False,
            text=True,
            timeout=15,
        )
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout.splitlines()

    return run


def _rogue_anchors(server: PinnedServer) -> Path:
    """Write the anchors without those of the pinned server: the impostor's CA alone."""
    end = "-----END CERTIFICATE-----\n"
    path = server.anchors_path.with_name("rogue.pem")
    path.write_text(server.anchors_path.read_text("ascii").partition(end)[2], "ascii")
    return path


@pytest.mark.threat("T26")
def test_trust_from_the_environment_is_no_pin(run: Run, pinned_server: PinnedServer) -> None:
    """With SSL_CERT_FILE leading to the impostor's CA stock clients are fooled, ours are not."""
    rogue = _rogue_anchors(pinned_server)

    assert [UNTRUSTED, ANSWERED] == run("stock", SSL_CERT_FILE=rogue)[:2]
    pinned_server.impostor.wait_for(1)
    fooled = pinned_server.impostor.application_bytes
    assert [UNTRUSTED, REFUSED] == run("pinned", SSL_CERT_FILE=rogue)[:2]
    pinned_server.impostor.wait_for(2)
    assert 0 < fooled == pinned_server.impostor.application_bytes


@pytest.mark.threat("T26")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="names in a folder are hashed by it")
def test_a_folder_of_anchors_is_no_pin(
    run: Run, pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """The same with SSL_CERT_DIR, where OpenSSL looks the impostor's CA up."""
    rogue = _rogue_anchors(pinned_server)
    command = ["openssl", "x509", "-in", str(rogue), "-noout", "-hash"]
    hashed = subprocess.check_output(command, text=True).strip()
    shutil.copy(rogue, tmp_path / f"{hashed}.0")
    folder = {"SSL_CERT_FILE": tmp_path / "missing", "SSL_CERT_DIR": tmp_path}

    assert [UNTRUSTED, ANSWERED] == run("stock", **folder)[:2]
    assert [UNTRUSTED, REFUSED] == run("pinned", **folder)[:2]


@pytest.mark.threat("T27")
def test_secrets_are_not_written_where_the_environment_says(run: Run, tmp_path: Path) -> None:
    """SSLKEYLOGFILE fills a file with the secrets of stock contexts, and with none of ours."""
    stock, pinned = tmp_path / "stock", tmp_path / "pinned"

    run("stock", SSLKEYLOGFILE=stock)
    assert [ANSWERED, REFUSED] == run("pinned", SSLKEYLOGFILE=pinned)[:2]

    assert "TRAFFIC_SECRET" in stock.read_text("ascii")
    assert not pinned.exists()


@pytest.mark.threat("T27")
@pytest.mark.parametrize("kind", ["process-wide", "process-wide, made before"])
def test_no_secrets_of_a_whole_process(run: Run, tmp_path: Path, kind: str) -> None:
    """The same of stock contexts while enforcement is process-wide."""
    log = tmp_path / "secrets"

    assert [ANSWERED, REFUSED] == run(kind, SSLKEYLOGFILE=log)[:2]

    assert not log.exists() or "SECRET" not in log.read_text("ascii")


def test_secrets_where_the_application_wants_them(
    run: Run, tmp_path: Path, pinned_server: PinnedServer
) -> None:
    """A file that code names is written, for debugging, also beside the variable."""
    run("process-wide, named by the application", SSLKEYLOGFILE=tmp_path / "other")

    log = pinned_server.policy_path.with_name("named.log")
    assert "TRAFFIC_SECRET" in log.read_text("ascii")
    assert not (tmp_path / "other").exists()


@pytest.mark.threat("T28")
def test_a_loose_configuration_changes_no_verdict(run: Run, tmp_path: Path) -> None:
    """OPENSSL_CONF can loosen what TLS accepts; the pins decide as before."""
    loose = tmp_path / "openssl.cnf"
    loose.write_text(_LOOSE, "ascii")

    verdicts = [ANSWERED, REFUSED]
    assert [*verdicts, "renegotiates unsafely: False"] == run("pinned")
    assert [*verdicts, "renegotiates unsafely: True"] == run("pinned", OPENSSL_CONF=loose)
