import copy
import pickle
import ssl
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast import PinningContext
from holdfast.enforcement.genuine_context import CContext
from holdfast.enforcement.process_wide import install, uninstall
from holdfast.enforcement.server_context import PinnedServerContext
from holdfast.errors import PinnedContextError, TrustStoreError
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.issuance import der
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted

Make = Callable[..., PinnedServerContext]
Serve = Callable[[ssl.SSLContext], Any]
Visit = Callable[..., tuple[bytes, object, bool]]
PUBLIC = {"trust": Trust.PUBLIC, "anchors": (), "single_pin": ACCEPT_LOCK_OUT}


def policy_of(*pin_sets: PinSet) -> Policy:
    """Return a policy with these sets."""
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=pin_sets)


def test_it_asks_for_a_certificate_and_hands_out_no_ticket(server_context: Make) -> None:
    """Verification is on from the start; tickets, renegotiation and late requests are off."""
    context = server_context()

    assert isinstance(context, ssl.SSLContext)
    assert ssl.PROTOCOL_TLS_SERVER == context.protocol
    assert ssl.CERT_REQUIRED == context.verify_mode == CContext.verify_mode.__get__(context)
    assert 0 == context.num_tickets == CContext.num_tickets.__get__(context)
    assert context.options & ssl.OP_NO_TICKET
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not context.post_handshake_auth
    assert (sys.version_info >= (3, 13)) is bool(context.verify_flags & ssl.VERIFY_X509_STRICT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verify_mode", ssl.CERT_NONE),
        ("verify_mode", ssl.CERT_OPTIONAL),
        ("num_tickets", 2),
        ("post_handshake_auth", True),
    ],
)
def test_what_cannot_be_switched(server_context: Make, name: str, value: object) -> None:
    """What would let a client in unchecked is refused, with the fix, and changes nothing."""
    context = server_context()
    before = getattr(context, name)

    with pytest.raises(PinnedContextError) as caught:
        setattr(context, name, value)

    assert caught.value.hint
    assert before == getattr(context, name)


def test_settings_that_stay_as_they_are(server_context: Make) -> None:
    """What servers set by themselves is taken, and options keep what is sealed."""
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    context.post_handshake_auth = False
    context.options = ssl.OP_NO_COMPRESSION

    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_TICKET
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("clone", [copy.copy, pickle.dumps])
def test_it_cannot_be_copied(server_context: Make, clone: Callable[[object], object]) -> None:
    """A copy would not be pinned."""
    with pytest.raises(TypeError, match="cannot be copied"):
        clone(server_context())


def test_a_client_cannot_be_made_of_it(server_context: Make) -> None:
    """Its anchors vouch for clients, not for servers."""
    with pytest.raises(PinnedContextError, match="for a server"):
        server_context().wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="api.example.com"
        )


def test_a_source_is_needed() -> None:
    """The path of a policy is no policy."""
    with pytest.raises(TypeError, match="takes a policy"):
        PinningContext.for_server("pins.toml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (None, "no pin set of the policy names a client"),
        (PUBLIC, "nobody is trusted to certify"),
        (PUBLIC | {"trust": Trust.PINS_ONLY}, "nothing vouches for"),
        ({"anchors": (b"no certificate",)}, "cannot read an anchor"),
    ],
)
def test_without_anchors(
    client_set: Callable[..., PinSet], fields: dict[str, Any] | None, message: str
) -> None:
    """A server into which nobody could come says so at once, and what to write."""
    pin_sets = () if fields is None else (client_set(**fields),)

    with pytest.raises(TrustStoreError, match=message) as caught:
        PinningContext.for_server(policy_of(*pin_sets))

    assert caught.value.hint or fields == {"anchors": (b"no certificate",)}


def test_anchors_for_public_trust(
    client_set: Callable[..., PinSet], honest: Authority, mesh: Authority, tmp_path: Path
) -> None:
    """A file names who may certify the clients of public sets, beside the private anchors."""
    path = tmp_path / "partners.pem"
    path.write_text(honest.pem, "ascii")
    partners = client_set("partner.example", name="partners", **PUBLIC)
    context = PinningContext.for_server(policy_of(partners, client_set()), client_anchors=path)
    expected = {der(honest.certificate), der(mesh.certificate)}

    assert expected == set(context.get_ca_certs(binary_form=True))
    with pytest.raises(TrustStoreError, match="no trust anchors"):
        PinningContext.for_server(policy_of(partners), client_anchors=tmp_path / "missing.pem")


def test_a_certificate_as_its_own_anchor(
    client_set: Callable[..., PinSet],
    server_context: Make,
    serve: Serve,
    visit: Visit,
) -> None:
    """What is advised for devices works: private trust, with the certificate itself as anchor."""
    device, other = (self_signed("device.internal", usage="both") for _ in range(2))
    devices = client_set("device.internal", anchors=(device.der,), leaf=())
    application = serve(server_context(policy_of(devices)))

    assert b"welcome" == visit(application, device)[0]
    assert b"" == visit(application, other)[0]
    assert [b"hello"] == [data for _, data in application.saw]


def test_beside_process_wide_enforcement(
    server_context: Make,
    serve: Serve,
    visit: Visit,
    payments: Identity,
    mesh: Authority,
    policy: Policy,
) -> None:
    """A server in a process that is pinned as a whole keeps to its own policy."""
    stranger = mesh.issue("spiffe://example.org/payments", usage="both", common_name="payments")
    install(replace(policy, unlisted=Unlisted.ALLOW, pin_sets=()))
    try:
        application = serve(server_context())
        answers = [visit(application, shown)[0] for shown in (payments, stranger)]
    finally:
        uninstall()

    assert [b"welcome", b""] == answers
    assert 1 == len(application.saw)
