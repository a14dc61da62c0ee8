import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.lab.server import LabServer
from holdfast.pins.chain import ChainCertificate
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.scenarios.stage import HOST, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage of its own for each test."""
    with Stage(tmp_path) as built:
        yield built


@pytest.fixture
def client(stage: Stage) -> ssl.SSLContext:
    """Return a client without pins that has the trust store of the stage."""
    return ssl.create_default_context(cafile=str(stage.anchors_path))


def _leaf(stage: Stage, client: ssl.SSLContext, server: LabServer) -> ChainCertificate:
    leaf = stage.ask(client, server).leaf
    assert leaf is not None
    return leaf


def _pin(leaf: ChainCertificate) -> Pin:
    return Pin(PinAlgorithm.SPKI, leaf.spki_sha256)


def _bank_set(stage: Stage) -> PinSet:
    pin_set = stage.policy().pin_set_for(HOST)
    assert pin_set is not None
    return pin_set


def test_both_servers_are_trusted(stage: Stage, client: ssl.SSLContext) -> None:
    """A client without pins reads the answer of either server, and sends its token to either."""
    bank, attacker = stage.ask(client, stage.bank), stage.ask(client, stage.attacker)

    assert ("1200 EUR", "0 EUR") == (bank.answer, attacker.answer)
    assert stage.token.encode() in bank.seen.received
    assert stage.token.encode() in attacker.seen.received
    assert (HOST, HOST) == (bank.seen.server_name, attacker.seen.server_name)


def test_policy_enforces_the_key_of_the_bank(stage: Stage, client: ssl.SSLContext) -> None:
    """The policy enforces the bank's key for the name, with a reserve, and not the attacker's."""
    pin_set = _bank_set(stage)

    assert Mode.ENFORCE is pin_set.mode
    assert (_pin(_leaf(stage, client, stage.bank)),) == pin_set.leaf
    assert _pin(_leaf(stage, client, stage.attacker)) not in pin_set.leaf + pin_set.backup


def test_renewal_keeps_the_key(stage: Stage, client: ssl.SSLContext) -> None:
    """After a renewal the bank shows another certificate for the same key."""
    before = _leaf(stage, client, stage.bank)
    stage.renew_certificate()
    after = _leaf(stage, client, stage.bank)

    assert before.spki_sha256 == after.spki_sha256
    assert before.cert_sha256 != after.cert_sha256


def test_backup_key_is_the_one_in_the_policy(stage: Stage, client: ssl.SSLContext) -> None:
    """After the switch the bank shows the key that the policy calls its backup."""
    stage.switch_to_backup_key()

    assert (_pin(_leaf(stage, client, stage.bank)),) == _bank_set(stage).backup


def test_unannounced_key_is_in_no_policy(stage: Stage, client: ssl.SSLContext) -> None:
    """After an unannounced change the bank shows a key that no pin names, and still answers."""
    stage.switch_to_unannounced_key()
    exchange = stage.ask(client, stage.bank)
    pin_set = _bank_set(stage)

    assert "1200 EUR" == exchange.answer
    assert exchange.leaf is not None
    assert _pin(exchange.leaf) not in pin_set.leaf + pin_set.backup


def test_failure_is_an_outcome(stage: Stage) -> None:
    """A client that trusts neither CA gets an error and no answer; the server got no request."""
    exchange = stage.ask(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), stage.bank)

    assert isinstance(exchange.error, ssl.SSLCertVerificationError)
    assert (None, None) == (exchange.answer, exchange.leaf)
    assert 0 == exchange.seen.application_bytes
