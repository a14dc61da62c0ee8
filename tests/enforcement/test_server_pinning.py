import ssl
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.enforcement.genuine_context import CContext
from holdfast.enforcement.server_context import PinnedServerContext
from holdfast.enforcement.server_pinning import anchors_of_clients
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted

PARTNER = "spiffe://partner.example/api"
Make = Callable[..., PinnedServerContext]
Serve = Callable[[ssl.SSLContext], Any]
Visit = Callable[..., tuple[bytes, ssl.SSLSession | None, bool]]


class Source:
    """A policy source that can change and fail."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy | None = policy

    def current(self) -> Policy:
        """Return the policy, or fail when there is none."""
        if self.policy is None:
            raise LookupError("no policy today")
        return self.policy


@pytest.fixture(scope="module")
def partner_root() -> Authority:
    """The root of another trust domain."""
    return Authority.new("Partner root")


@pytest.fixture(scope="module")
def partner(partner_root: Authority) -> Identity:
    """A client in it."""
    return partner_root.issue(PARTNER, usage="both", common_name="partner")


@pytest.fixture
def both(
    client_policy: Policy, client_set: Callable[..., PinSet], partner_root: Authority
) -> Policy:
    """The usual policy, and a set for the partner."""
    anchors = (der(partner_root.certificate),)
    partners = client_set(PARTNER, name="partner", anchors=anchors, leaf=())
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(*client_policy.pin_sets, partners))


def test_anchors_of_sets_that_name_clients(
    client_set: Callable[..., PinSet], mesh: Authority, spare_pin: Pin
) -> None:
    """The anchors of hosts vouch for no client."""
    hosts = PinSet(
        name="hosts",
        hosts=(HostPattern.parse("mesh.internal"),),
        mode=Mode.ENFORCE,
        trust=Trust.PRIVATE,
        anchors=(b"another root",),
    )
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(hosts, client_set()))

    assert {der(mesh.certificate)} == anchors_of_clients(policy)


def test_a_policy_that_brings_anchors(
    server_context: Make,
    serve: Serve,
    visit: Visit,
    client_policy: Policy,
    both: Policy,
    partner: Identity,
) -> None:
    """A trust domain that joins is let in at once, and out again when it leaves."""
    source = Source(client_policy)
    application = serve(server_context(source))
    answers = []
    for policy in (client_policy, both, client_policy):
        source.policy = policy
        answers.append(visit(application, partner)[0])

    assert [b"", b"welcome", b""] == answers
    assert [PARTNER] == [client.identity for client, _ in application.saw]


def test_an_anchor_that_cannot_be_loaded(
    server_context: Make,
    serve: Serve,
    visit: Visit,
    client_policy: Policy,
    client_set: Callable[..., PinSet],
    payments: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and keeps nobody out but its own clients."""
    source = Source(client_policy)
    application = serve(server_context(source))
    odd = client_set(PARTNER, name="odd", anchors=(b"no certificate",), leaf=())
    source.policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(*client_policy.pin_sets, odd))

    assert b"welcome" == visit(application, payments)[0]
    assert ["an anchor of the new policy cannot be loaded"] == caplog.messages


def test_a_source_that_fails(
    server_context: Make, serve: Serve, visit: Visit, client_policy: Policy, payments: Identity
) -> None:
    """While there is no policy nobody comes in, and afterwards all is as before."""
    source = Source(client_policy)
    application = serve(server_context(source))
    source.policy = None
    assert b"" == visit(application, payments)[0]

    source.policy = client_policy
    assert b"welcome" == visit(application, payments)[0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (CContext.verify_mode, int(ssl.CERT_NONE)),
        (CContext.verify_mode, int(ssl.CERT_OPTIONAL)),
        (CContext.options, int(ssl.OP_ALL)),
        (CContext.num_tickets, 2),
        (CContext.post_handshake_auth, True),
    ],
)
def test_what_is_changed_underneath(server_context: Make, setting: Any, value: object) -> None:  # noqa: ANN401
    """A connection is not made once somebody went past the class to switch something off."""
    context = server_context()
    setting.__set__(context, value)

    with pytest.raises(PinnedContextError, match="switched off underneath"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
