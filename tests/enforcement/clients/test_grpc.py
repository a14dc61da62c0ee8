from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

import holdfast
from holdfast.enforcement.clients.grpc import pinned_credentials
from holdfast.errors import LossError
from holdfast.formats.loss import Effect, LossKind
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import pem
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy, Unlisted

PolicyFor = Callable[..., Policy]


@contextmanager
def _grpc_server(identity: Identity, client_anchors: bytes | None = None) -> Iterator[int]:
    """Answer the method /lab/Echo with what it was sent and who the client is; yield the port."""

    def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
        shown = context.auth_context().get("x509_common_name", [b""])
        return bytes(request + shown[0])

    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("lab", handlers)])
        pair = identity.key_pem.encode("ascii"), identity.chain_pem.encode("ascii")
        credentials = grpc.ssl_server_credentials(
            [pair], client_anchors, require_client_auth=client_anchors is not None
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


def _call(credentials: grpc.ChannelCredentials, host: str, port: int) -> bytes:
    """Call the method once; a refusal is an error at once, since nothing waits for the channel."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    with grpc.secure_channel(f"{host}:{port}", credentials, options=options) as channel:
        return bytes(channel.unary_unary("/lab/Echo")(b"hello", timeout=10))


@pytest.fixture
def refused(
    start: Callable[..., LabServer], received: Callable[[LabServer], tuple[int, int]]
) -> Callable[..., None]:
    """Return a function that calls a server, on TLS 1.2 and 1.3, and must be refused."""

    def check(credentials: grpc.ChannelCredentials, shown: Identity) -> None:
        server = start(shown, partial(LabServer, alpn=["h2"]))
        with pytest.raises(grpc.RpcError) as caught:
            _call(credentials, "localhost", server.port)
        assert grpc.StatusCode.UNAVAILABLE is caught.value.code()
        assert (0, 0) == received(server)

    return check


@pytest.fixture
def pem_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes certificates to a file."""

    def write(*certificates: Any) -> Path:  # noqa: ANN401
        path = tmp_path / "pinned.pem"
        path.write_text(pem(certificates), "ascii")
        return path

    return write


@pytest.mark.parametrize("shown", ["identity", "impostor"])
def test_recipe(
    *,
    shown: str,
    policy: Policy,
    identity: Identity,
    run_page: Callable[..., str],
    request: pytest.FixtureRequest,
) -> None:
    """The recipe reaches the server whose certificate is pinned, and refuses an impostor."""
    with _grpc_server(request.getfixturevalue(shown)) as port:
        output = run_page(
            "grpc",
            "grpcio",
            policy,
            port,
            pinned=pem([identity.certificate]),
            change=lambda code: code.replace("/package.Service/Method", "/lab/Echo"),
        )

    assert ("b'hello'" if shown == "identity" else "refused: StatusCode.UNAVAILABLE") == output


@pytest.mark.parametrize("place", ["leaf", "intermediate", "root"])
def test_a_pinned_certificate(
    *,
    place: str,
    policy_for: PolicyFor,
    pem_of: Callable[..., Path],
    identity: Identity,
    impostor: Identity,
    issuing: Authority,
    honest: Authority,
    refused: Callable[..., None],
) -> None:
    """A pinned leaf, intermediate or root as the only root lets its server in, and no impostor."""
    policy, certificate = {
        "leaf": (policy_for(), identity.certificate),
        "intermediate": (policy_for(ca=issuing.spki_pin), issuing.certificate),
        "root": (policy_for(ca=honest.spki_pin), honest.certificate),
    }[place]
    pinned = pinned_credentials(policy, "localhost", certificates=pem_of(certificate))

    with _grpc_server(identity) as port:
        assert b"hello" == _call(pinned.credentials, "localhost", port)
    refused(pinned.credentials, impostor)
    refused(pinned.credentials, impostor.with_chain(*identity.chain, honest.certificate))


def test_a_renewed_certificate_is_refused(
    policy: Policy,
    pem_of: Callable[..., Path],
    identity: Identity,
    issuing: Authority,
    refused: Callable[..., None],
) -> None:
    """A key pin became a certificate pin, as the losses say: the same key in another is refused."""
    pinned = pinned_credentials(policy, "localhost", certificates=pem_of(identity.certificate))

    assert (LossKind.KEY_PINS, Effect.REFUSES, "pin_set.lab.leaf") in [
        (loss.kind, loss.effect, loss.place) for loss in pinned.losses
    ]
    refused(pinned.credentials, issuing.issue("localhost", key=identity.key))


def test_the_name_is_checked(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity
) -> None:
    """The pinned certificate is no use under a name that is not in it."""
    host = "elsewhere.example"
    listed = replace(policy.pin_sets[0], hosts=(holdfast.HostPattern.parse(host),))
    policy = replace(policy, pin_sets=(listed,))
    pinned = pinned_credentials(policy, host, certificates=pem_of(identity.certificate))
    options = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.default_authority", host),
        ("grpc.ssl_target_name_override", host),
    ]

    with (
        _grpc_server(identity) as port,
        grpc.secure_channel(f"127.0.0.1:{port}", pinned.credentials, options) as channel,
        pytest.raises(grpc.RpcError),
    ):
        channel.unary_unary("/lab/Echo")(b"hello", timeout=10)


def test_private_anchors(
    sets: tuple[Any, ...],
    mesh: Authority,
    honest: Authority,
    refused: Callable[..., None],
) -> None:
    """A private set without pins is held whole: its anchors are the roots."""
    local = replace(sets[1], hosts=(holdfast.HostPattern.parse("localhost"),))
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=(local,))

    pinned = pinned_credentials(policy, "localhost", strict=True)

    with _grpc_server(mesh.intermediate("Mesh CA").issue("localhost")) as port:
        assert b"hello" == _call(pinned.credentials, "localhost", port)
    refused(pinned.credentials, honest.issue("localhost"))


def test_a_client_certificate(
    policy: Policy,
    pem_of: Callable[..., Path],
    identity: Identity,
    client_identity: Identity,
    honest: Authority,
) -> None:
    """The client's own certificate goes where it goes without pins."""
    pinned = pinned_credentials(
        policy,
        "localhost",
        certificates=pem_of(identity.certificate),
        private_key=client_identity.key_pem.encode(),
        certificate_chain=client_identity.chain_pem.encode(),
    )

    with _grpc_server(identity, honest.pem.encode()) as port:
        assert b"helloclient" == _call(pinned.credentials, "localhost", port)


def test_digests_alone_cannot_be_held(policy: Policy) -> None:
    """A set of key pins is an error that says why, and what to do."""
    with pytest.raises(LossError, match="holds only digests") as caught:
        pinned_credentials(policy, "localhost")

    assert "pass a PEM file" in (caught.value.hint or "")


def test_strict_refuses_what_is_lost(
    policy: Policy, pem_of: Callable[..., Path], identity: Identity
) -> None:
    """With `strict` a set that would be decided otherwise is an error."""
    with pytest.raises(LossError, match="refuses a renewed certificate"):
        pinned_credentials(
            policy, "localhost", certificates=pem_of(identity.certificate), strict=True
        )
