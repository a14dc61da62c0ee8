"""Broken checks, and the attacks that each of them falls to: why the attacks are there.

A check runs behind the handshake here, and says whether the request may leave.
"""

import base64
import hashlib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.lab.attack import LOOPBACK, Attack, Stage, attacks

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# The slow one is about time limits, and the others need a client that speaks SMTP.
ATTACKS = [one for one in attacks() if one.transport == "https" and one.id != "slow_loris"]
SEARCHED = 64


@dataclass(frozen=True)
class Seen:
    """What a check knows: the policy, and what came out of the handshake."""

    stage: Stage
    attack: Attack
    host: str
    version: str | None
    presented: list[x509.Certificate]
    verified: list[x509.Certificate]

    @property
    def leaf(self) -> x509.Certificate:
        """The leaf."""
        return self.verified[0]

    @property
    def denied(self) -> bool:
        """Whether a denied key is on the path."""
        denied = self.attack.denied(self.stage) if self.attack.denied else ()
        return any(_pin(one) in denied for one in self.verified)

    def pinned(self, chain: list[x509.Certificate]) -> bool:
        """Tell whether a pin of the policy is in a chain."""
        if self.attack.pinned_ca:
            return self.attack.pinned_ca(self.stage) in map(_pin, chain)
        return not {self.stage.pin, self.stage.backup_pin}.isdisjoint(map(_pin, chain))


def _pin(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256/{base64.b64encode(hashlib.sha256(spki).digest()).decode()}"


def _right(seen: Seen) -> bool:
    return seen.pinned(seen.verified)


def _presented(seen: Seen) -> bool:
    """Match what was sent."""
    return seen.pinned(seen.presented)


def _signed_by_the_path(seen: Seen) -> bool:
    """Match what was sent and is signed by a CA of the verified path."""
    issuers = [one.subject for one in seen.verified[1:]]
    return _right(seen) or seen.pinned([one for one in seen.presented if one.issuer in issuers])


def _last_is_the_root(seen: Seen) -> bool:
    """Take the last certificate sent for the root, if it signs itself."""
    last = seen.presented[-1]
    return _right(seen) or (last.issuer == last.subject and seen.pinned([last]))


def _gives_up(seen: Seen) -> bool:
    """Accept what is too long to be searched."""
    return len(seen.presented) > SEARCHED or _right(seen)


def _names(seen: Seen) -> bool:
    """Compare name and serial number instead of keys."""
    expected = seen.stage.server.certificate
    return _right(seen) or (expected.subject, expected.serial_number) == (
        seen.leaf.subject,
        seen.leaf.serial_number,
    )


def _issuer(seen: Seen) -> bool:
    """Accept a new key from the CA that is known."""
    return _right(seen) or seen.stage.issuing.spki_pin in map(_pin, seen.verified[1:])


def _letter_by_letter(seen: Seen) -> bool:
    """Look hosts up as they are written."""
    return seen.host not in {seen.stage.host, LOOPBACK} or _right(seen)


def _by_server_name(seen: Seen) -> bool:
    """Look hosts up by the server name, which addresses do not have."""
    return seen.host == LOOPBACK or _right(seen)


def _on_tls_13(seen: Seen) -> bool:
    """Check on TLS 1.3 only."""
    return seen.version != "TLSv1.3" or _right(seen)


def _takes_devices(seen: Seen) -> bool:
    """Take what signs itself for a device, which has no CA."""
    return seen.leaf.issuer == seen.leaf.subject or _right(seen)


@dataclass(frozen=True)
class Mutant:
    """A client with a broken check, and the attacks that it falls to."""

    falls_to: set[str]
    accepts: Callable[[Seen], bool] = _right
    verifies: bool = True
    checks_name: bool = True
    shows_certificate: bool = False
    knows_denied: bool = True
    falls_back: bool = False


UNVERIFIED = {
    "expired_right_key",
    "forged_leaf_naming_pinned_ca",
    "not_yet_valid_right_key",
    "wrong_host_right_key",
}
MUTANTS = {
    "none": Mutant(set()),
    "does not pin": Mutant(
        {attack.id for attack in ATTACKS if attack.fools_plain},
        lambda _: True,
        knows_denied=False,
    ),
    "presented chain": Mutant(
        {
            "cross_signed_path",
            "huge_chain",
            "padded_with_pinned_ca",
            "padded_with_pinned_leaf",
            "padded_with_pinned_root",
        },
        _presented,
    ),
    "signed by the path": Mutant({"cross_signed_path"}, _signed_by_the_path),
    "last is the root": Mutant({"padded_with_pinned_root"}, _last_is_the_root),
    "gives up": Mutant({"huge_chain"}, _gives_up),
    "names": Mutant({"same_name_and_key_identifier"}, _names),
    "known issuer": Mutant({"misissued_by_own_ca"}, _issuer),
    "ignores denied": Mutant({"denied_key"}, knows_denied=False),
    "letter by letter": Mutant({"trailing_dot", "upper_case_host"}, _letter_by_letter),
    "by server name": Mutant({"ip_literal"}, _by_server_name),
    "on TLS 1.3": Mutant({"client_certificate_asked_tls12", "rogue_ca_tls12"}, _on_tls_13),
    "takes devices": Mutant({"self_signed", *UNVERIFIED}, _takes_devices, verifies=False),
    "no name check": Mutant({"wrong_host_right_key"}, checks_name=False),
    "no verification": Mutant(UNVERIFIED, verifies=False),
    "after the handshake": Mutant(
        {"client_certificate_asked_tls12", "client_certificate_asked_tls13"},
        shows_certificate=True,
    ),
    "falls back": Mutant(
        {
            "answer_in_the_clear",
            "corrupted_handshake",
            "self_signed",
            "truncated_handshake",
            "unproven_possession",
            *UNVERIFIED,
        },
        falls_back=True,
    ),
}


@pytest.fixture(scope="module")
def stage() -> Stage:
    """The authorities and keys that all attacks here share."""
    return Stage.new()


@pytest.mark.parametrize("name", MUTANTS)
def test_each_broken_check_falls(stage: Stage, name: str) -> None:
    """A check falls to the attacks on what is broken in it, and to no other."""
    mutant = MUTANTS[name]

    assert mutant.falls_to == {attack.id for attack in ATTACKS if _falls(stage, mutant, attack)}


def _falls(stage: Stage, mutant: Mutant, attack: Attack) -> bool:
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    context.check_hostname = mutant.verifies and mutant.checks_name
    context.verify_mode = ssl.CERT_REQUIRED if mutant.verifies else ssl.CERT_NONE
    if mutant.shows_certificate:
        stage.client.load_into(context)
    with attack.rogue(stage) as server:
        with (
            suppress(OSError),
            socket.create_connection((server.address, server.port), timeout=5) as tcp,
        ):
            _talk(stage, mutant, attack, context, tcp)
        (seen,) = server.wait_for(1)
    return bool(seen.application_bytes or seen.plain_bytes or seen.client_certificate)


def _talk(
    stage: Stage, mutant: Mutant, attack: Attack, context: ssl.SSLContext, tcp: socket.socket
) -> None:
    spare = tcp.dup()
    with spare:
        try:
            tls = context.wrap_socket(tcp, server_hostname=attack.host(stage))
        except OSError:
            if mutant.falls_back:
                spare.sendall(REQUEST)
                spare.shutdown(socket.SHUT_WR)
                while spare.recv(65536):  # to close before all is read would be a reset
                    pass
            return
        with tls:
            chains = tls._sslobj  # type: ignore[attr-defined]  # public from Python 3.13 on
            seen = Seen(
                stage,
                attack,
                attack.host(stage),
                tls.version(),
                _certificates(chains.get_unverified_chain()),
                _certificates(chains.get_verified_chain()),
            )
            if mutant.accepts(seen) and not (mutant.knows_denied and seen.denied):
                tls.sendall(REQUEST)


def _certificates(chain: list[ssl._ssl.Certificate]) -> list[x509.Certificate]:  # type: ignore[name-defined]
    return [x509.load_pem_x509_certificate(one.public_bytes().encode()) for one in chain]
