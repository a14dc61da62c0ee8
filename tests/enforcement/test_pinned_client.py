from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from holdfast.certificates.spki import chain_certificate
from holdfast.enforcement.pinned_client import PinnedClient, pinned_client_of
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.evaluate_client import evaluate_client
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Verdict

PAYMENTS = "spiffe://example.org/payments"


def decide(payments: Identity, mesh: Authority, pin_set: PinSet) -> Verdict:
    """Decide on the client under a policy with this set."""
    chain = VerifiedChain(
        tuple(map(chain_certificate, (*map(der, payments.chain), der(mesh.certificate))))
    )
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))
    return evaluate_client(policy, (ClientIdentity(PAYMENTS),), chain, datetime.now(UTC))


def test_by_which_pin(
    payments: Identity, mesh: Authority, client_set: Callable[..., PinSet], spare_pin: Pin
) -> None:
    """It says the pin, the anchor's where there are no pins, and none for what is only reported."""
    by_key = decide(payments, mesh, client_set())
    by_anchor = decide(payments, mesh, client_set(leaf=()))
    reported = decide(payments, mesh, client_set(leaf=(spare_pin,), mode=Mode.REPORT_ONLY))

    clients = map(PinnedClient.of, (by_key, by_anchor, reported))
    assert [payments.spki_pin, mesh.cert_pin, "None"] == [
        str(client.pin) for client in clients if client is not None
    ]


def test_a_refused_client_is_nobody(
    payments: Identity, mesh: Authority, client_set: Callable[..., PinSet], spare_pin: Pin
) -> None:
    """There is no client of a verdict that refuses."""
    assert PinnedClient.of(decide(payments, mesh, client_set(leaf=(spare_pin,)))) is None


class Claims:
    """Has the attribute, and something else in it."""

    pinned_client = "admin"


@pytest.mark.parametrize("connection", [None, object(), Claims()])
def test_other_connections(connection: object) -> None:
    """A connection of a server that is not pinned has no client."""
    assert pinned_client_of(connection) is None
