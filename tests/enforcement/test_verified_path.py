import importlib.util
import ssl
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from holdfast.enforcement import verified_path as module
from holdfast.enforcement.verified_path import PathReader, presented_chain, verified_path
from holdfast.errors import UnsupportedRuntimeError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer

Start = Callable[..., LabServer]


@pytest.fixture
def unpinned(honest: Authority) -> ssl.SSLContext:
    """A stock context that trusts the honest CA."""
    return ssl.create_default_context(cadata=honest.pem)


def test_the_path_ends_in_the_anchor(
    start: Start,
    identity: Identity,
    honest: Authority,
    unpinned: ssl.SSLContext,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """Leaf first, anchor last, also when the server did not send it; what was sent is another."""
    tls = connect(start(identity), unpinned)
    sent = tuple(map(der, identity.chain))

    assert (*sent, der(honest.certificate)) == verified_path(tls)
    assert sent == presented_chain(tls)


def test_the_path_over_bios_is_the_same(
    start: Start,
    identity: Identity,
    honest: Authority,
    unpinned: ssl.SSLContext,
    over_bio: Callable[..., tuple[ssl.SSLObject, Callable[..., object]]],
) -> None:
    """The same for BIO objects; before the handshake there is none."""
    tls, drive = over_bio(start(identity), unpinned)
    assert () == verified_path(tls)
    drive(tls.do_handshake)

    assert der(honest.certificate) == verified_path(tls)[-1]
    assert identity.der == verified_path(tls)[0]


@pytest.mark.threat("T04")
def test_a_resumed_session_has_no_path(
    start: Start,
    identity: Identity,
    unpinned: ssl.SSLContext,
    exchange: Callable[..., tuple[bytes, ssl.SSLSession]],
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """OpenSSL keeps none: this is why approved paths are remembered."""
    server = start(identity)
    _, session = exchange(server, unpinned)
    tls = connect(server, unpinned, "localhost", session)

    assert tls.session_reused
    assert () == verified_path(tls)


def _again() -> ModuleType:
    """Import the module once more, under another name, into an interpreter as it is now."""
    spec = importlib.util.spec_from_file_location("again", module.__file__ or "")
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    return again


def test_equal_certificates_are_not_encoded_again(
    start: Start,
    identity: Identity,
    issuing: Authority,
    impostor: Identity,
    rogue: Authority,
    unpinned: ssl.SSLContext,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """The same path gives the same object; another path of the same host is told apart."""
    server, reader = start(identity), PathReader()
    first = connect(server, unpinned)
    path = reader.read(first, "localhost")

    assert verified_path(first) == path
    assert path is reader.read(connect(server, unpinned), "localhost")
    unpinned.load_verify_locations(cadata=rogue.pem)
    alike = issuing.issue("localhost"), issuing.issue("localhost", key=identity.key)
    for shown in (impostor, *alike):  # another CA; another key; only another serial number
        other = connect(start(shown), unpinned)
        assert shown.der == reader.read(other, "localhost")[0]
        assert verified_path(other) == reader.read(other, "localhost")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the public method is new in Python 3.13")
def test_the_public_method_is_in_reserve(
    start: Start,
    identity: Identity,
    unpinned: ssl.SSLContext,
    connect: Callable[..., ssl.SSLSocket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the private method is gone, the public one gives the same path."""
    monkeypatch.setattr(ssl._ssl, "Certificate", object)  # type: ignore[attr-defined]
    again = _again()
    tls = connect(start(identity), unpinned)

    assert not again.HAS_PRIVATE_METHOD
    assert verified_path(tls) == again.verified_path(tls) == again.PathReader().read(tls, "a")


def test_a_python_without_access_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither the public nor the private method is, importing says so; nothing is trusted."""
    for stock in (ssl.SSLSocket, ssl.SSLObject):
        monkeypatch.delattr(stock, "get_verified_chain", raising=False)
    monkeypatch.setattr(ssl._ssl, "_SSLSocket", object)  # type: ignore[attr-defined]

    with pytest.raises(UnsupportedRuntimeError, match="path that OpenSSL verified"):
        _again()
