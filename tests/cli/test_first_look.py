import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.first_look import Look, Refusal, look_at_file, look_at_servers
from holdfast.cli.trust import given_anchors
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.endpoint import Endpoint

Run = Callable[..., subprocess.CompletedProcess[str]]


def _look(server: LabServer, anchors: Path | None = None) -> Look | Refusal:
    done: list[None] = []
    (look,) = look_at_servers(
        (Endpoint("https", "localhost", server.port),),
        given_anchors(anchors),
        address="127.0.0.1",
        timeout=10.0,
        done=lambda: done.append(None),
    )
    assert [None] == done
    return look


def test_given_anchor_is_enough(server: LabServer, folder: Path, identity: Identity) -> None:
    """A path to an anchor that the user named is looked at."""
    look = _look(server, folder / "ca.pem")

    assert isinstance(look, Look)
    ((place, chain),) = look.paths
    assert ("127.0.0.1", identity.der) == (place, chain.certificates[0].der)


def test_machine_alone_does_not_vouch(
    server: LabServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the machine's store verifies is refused: a proxy's CA would be there too."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))

    look = _look(server)

    assert isinstance(look, Refusal)
    assert (
        "verified by this machine, but its anchor CN=test root is not a public root: "
        "an inspection proxy looks like this"
    ) == look.reason
    assert look.determined


def test_unknown_issuer_is_refused(server: LabServer) -> None:
    """A chain that does not verify at all is a determined refusal."""
    look = _look(server)

    assert isinstance(look, Refusal)
    assert "not verified: unable to get local issuer certificate" == look.reason
    assert look.determined


def test_one_bad_address_refuses_the_host(
    server: LabServer, authority: Authority, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one of a host's addresses shows a chain that does not verify, nothing is pinned."""
    endpoint = Endpoint("https", "localhost", server.port)
    listen = socket.create_server

    def listen_at_its_port(place: tuple[str, int], **options: Any) -> socket.socket:  # noqa: ANN401
        return listen((place[0], server.port), **options)

    def both(*_arguments: object, **_options: object) -> list[object]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(socket, "create_server", listen_at_its_port)
    monkeypatch.setattr(socket, "getaddrinfo", both)
    with LabServer(authority.issue("other.example"), address="127.0.0.2"):
        (look,) = look_at_servers(
            (endpoint,),
            given_anchors(folder / "ca.pem"),
            address=None,
            timeout=10.0,
            done=lambda: None,
        )

    assert isinstance(look, Refusal)
    assert endpoint == look.endpoint
    assert "pin a name that the certificate is for, or have it replaced" == look.hint


def test_unreachable_is_not_determined() -> None:
    """Where nothing answers, nothing was determined: neither by the resolver nor by the server."""
    endpoints = (Endpoint("https", "nowhere.invalid", 443), Endpoint("https", "localhost", 1))

    done: list[None] = []
    looks = look_at_servers(
        endpoints, None, address=None, timeout=10.0, done=lambda: done.append(None)
    )

    assert [None, None] == done
    assert [False, False] == [isinstance(look, Refusal) and look.determined for look in looks]
    assert ["nowhere.invalid", "localhost"] == [look.endpoint.host for look in looks]


def test_file_is_verified_too(folder: Path, identity: Identity, authority: Authority) -> None:
    """A chain from a file has to lead from the host's name to a trusted anchor."""
    file = folder / "chain.pem"
    file.write_text(identity.chain_pem)
    trusted = given_anchors(folder / "ca.pem")
    endpoint = Endpoint("https", "localhost", 443)

    look = look_at_file(endpoint, file, trusted)
    other_host = look_at_file(Endpoint("https", "x.example", 443), file, trusted)
    other_trust = look_at_file(endpoint, file, None)

    assert isinstance(look, Look)
    assert ["chain.pem"] == [Path(place).name for place, _ in look.paths]
    assert isinstance(other_host, Refusal)
    assert "not verified: the certificate is for localhost, not for x.example" == other_host.reason
    assert isinstance(other_trust, Refusal)
    assert "if the server has a private CA, give it with --anchors FILE" in other_trust.hint
