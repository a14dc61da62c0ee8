import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

import holdfast
from holdfast.enforcement.clients.libpq import pinned_options
from holdfast.errors import LossError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer, ServerStream
from holdfast.pins.policy import Policy, Unlisted

# Protocol 3, "Message Formats": its length, and the number that no version of the protocol has.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian keeps them
PolicyFor = Callable[..., Policy]


async def _agree_to_tls(stream: ServerStream) -> None:
    """Agree to TLS as PostgreSQL does, read what comes then, and hang up."""
    await stream.read(len(_SSL_REQUEST))
    await stream.write(b"S")
    await stream.start_tls()
    await stream.read()


@pytest.fixture
def refused(start: Callable[..., LabServer]) -> Callable[..., None]:
    """Return a function that connects to a server, on TLS 1.2 and 1.3, and must be refused."""

    def check(options: dict[str, Any], shown: Identity) -> None:
        server = start(shown, partial(LabServer, starttls=_agree_to_tls))
        with pytest.raises(psycopg.OperationalError):
            _connect(options, server.port)
        (seen,) = server.wait_for(closed=1)
        assert (0, _SSL_REQUEST) == (seen.application_bytes, seen.received_plain)

    return check


def _connect(options: dict[str, Any], port: int) -> psycopg.Connection[Any]:
    return psycopg.connect(
        hostaddr="127.0.0.1",
        port=port,
        dbname="postgres",
        user="postgres",
        connect_timeout=10,
        **options,
    )


@pytest.fixture
def options(tmp_path: Path, honest: Authority, policy_for: PolicyFor) -> dict[str, Any]:
    """What libpq is told for localhost, whose root is pinned."""
    given = tmp_path / "pinned.pem"
    given.write_text(honest.pem, "ascii")
    policy = policy_for(ca=honest.spki_pin)
    root_file = tmp_path / "roots.pem"
    return pinned_options(policy, "localhost", root_file=root_file, certificates=given).options


@pytest.fixture
def postgres(identity: Identity) -> Iterator[int]:
    """A real server that shows the pinned key; its port."""
    if not _BINARIES:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    # Neither the server nor initdb runs as root, and others cannot look into pytest's folders.
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    home = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
    data = home / "data"
    run = partial(
        subprocess.Popen,
        user=account.pw_uid if os.getuid() == 0 else None,
        group=account.pw_gid if os.getuid() == 0 else None,
        extra_groups=[] if os.getuid() == 0 else None,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for name, text in (("key.pem", identity.key_pem), ("cert.pem", identity.chain_pem)):
            (home / name).write_text(text, "ascii")
            (home / name).chmod(0o600)
            os.chown(home / name, account.pw_uid, account.pw_gid)
        os.chown(home, account.pw_uid, account.pw_gid)
        initdb = [_BINARIES[-1] / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N"]
        with run(initdb) as made:
            assert 0 == made.wait(60)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": port,
            "ssl": "on",
            "ssl_cert_file": home / "cert.pem",
            "ssl_key_file": home / "key.pem",
            "fsync": "off",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with run([_BINARIES[-1] / "postgres", "-D", data, *arguments]) as server:
            try:
                _wait_for(port, server)
                yield port
            finally:
                server.terminate()
                server.wait(30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(port: int, server: subprocess.Popen[Any]) -> None:
    """Wait until the server listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("PostgreSQL does not listen")


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("root", "printed"), [("honest", "(1,)"), ("rogue", "refused: ")])
def test_recipe(
    *,
    root: str,
    printed: str,
    postgres: int,
    run_page: Callable[..., str],
    policy_for: PolicyFor,
    request: pytest.FixtureRequest,
) -> None:
    """The recipe reaches a real server under the pinned root, and refuses it under another."""
    authority = request.getfixturevalue(root)
    policy = policy_for(ca=authority.spki_pin)

    output = run_page(
        "libpq",
        "psycopg",
        policy,
        postgres,
        pinned=authority.pem,
        change=lambda code: code.replace('"app"', '"postgres"').replace("5432", str(postgres)),
    )

    assert output.startswith(printed)


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_real_server(
    postgres: int, options: dict[str, Any], rogue: Authority, tmp_path: Path
) -> None:
    """Under the pinned root a query is answered over TLS; under another one there is none."""
    with _connect(options, postgres) as connection:
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert (True,) == connection.execute(query).fetchone()

    Path(options["sslrootcert"]).write_text(rogue.pem, "ascii")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        _connect(options, postgres)


def test_the_pinned_root_gets_the_startup_message(
    options: dict[str, Any], start: Callable[..., LabServer], identity: Identity
) -> None:
    """What is refused below would be told the user's name: the server agreed to TLS."""
    server = start(identity, partial(LabServer, starttls=_agree_to_tls))

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            hostaddr="127.0.0.1", user="alice", port=server.port, connect_timeout=2, **options
        )

    assert b"alice" in server.wait_for(closed=1)[0].received


def test_a_trusted_impostor(
    options: dict[str, Any],
    refused: Callable[..., None],
    impostor: Identity,
    identity: Identity,
    honest: Authority,
) -> None:
    """A server under another CA gets nothing, the pinned certificates sent along or not."""
    refused(options, impostor)
    refused(options, impostor.with_chain(*identity.chain, honest.certificate))


def test_the_name_counts(
    options: dict[str, Any], refused: Callable[..., None], issuing: Authority
) -> None:
    """A certificate under the pinned root for another host is refused."""
    refused(options, issuing.issue("elsewhere.example"))


def test_no_way_around_tls(options: dict[str, Any]) -> None:
    """A server that does not agree to TLS is left, and Kerberos is not asked for instead."""

    async def decline(stream: ServerStream) -> None:
        await stream.read(len(_SSL_REQUEST))
        await stream.write(b"N")
        await stream.read()

    with LabServer(None, dialogue=decline) as server:
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            _connect(options, server.port)
        assert _SSL_REQUEST == server.wait_for(closed=1)[0].received

    assert "disable" == options["gssencmode"]


def test_a_private_set(
    tmp_path: Path,
    sets: tuple[Any, ...],
    refused: Callable[..., None],
    honest: Authority,
    mesh: Authority,
    start: Callable[..., LabServer],
) -> None:
    """The anchors of a private set are the only roots, and nothing that matters is lost."""
    local = replace(sets[1], hosts=(holdfast.HostPattern.parse("localhost"),))
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=(local,))
    pinned = pinned_options(policy, "LOCALHOST", root_file=tmp_path / "roots.pem", strict=True)
    assert "localhost" == pinned.options["host"]

    refused(pinned.options, honest.issue("localhost"))
    server = start(mesh.issue("localhost"), partial(LabServer, starttls=_agree_to_tls))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(hostaddr="127.0.0.1", port=server.port, connect_timeout=2, **pinned.options)
    assert server.wait_for(closed=1)[0].application_bytes > 0


def test_an_intermediate_is_no_root(
    tmp_path: Path, policy_for: PolicyFor, issuing: Authority
) -> None:
    """Libpq would refuse every server with it, so it is an error here, and no file is written."""
    given = tmp_path / "pinned.pem"
    given.write_text(issuing.pem, "ascii")

    with pytest.raises(LossError, match="libpq ends a path only"):
        pinned_options(
            policy_for(ca=issuing.spki_pin),
            "localhost",
            root_file=tmp_path / "roots.pem",
            certificates=given,
        )

    assert not (tmp_path / "roots.pem").exists()


def test_the_file_is_replaced_whole(
    tmp_path: Path, options: dict[str, Any], honest: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file holds the roots, and a write that fails leaves the old one and nothing else."""
    path = Path(options["sslrootcert"])
    assert honest.pem.split() == path.read_text("ascii").split()
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))

    with pytest.raises(OSError, match="no space"):
        pinned_options(
            Policy(unlisted=Unlisted.ALLOW, pin_sets=(_pinned(honest),)),
            "localhost",
            root_file=path,
            certificates=tmp_path / "pinned.pem",
        )

    assert before == sorted(tmp_path.iterdir())
    assert honest.pem.split() == path.read_text("ascii").split()


def _pinned(authority: Authority) -> holdfast.PinSet:
    return holdfast.PinSet(
        name="db",
        hosts=(holdfast.HostPattern.parse("localhost"),),
        mode=holdfast.Mode.ENFORCE,
        ca=(holdfast.Pin.parse(authority.spki_pin),),
        single_pin="I accept lock-out",
    )
