"""Broken checks, and the attacks that each of them falls to: why the attacks are there.

A check runs behind the handshake here, and says whether the request may leave.
"""

import base64
import hashlib
import smtplib
import socket
import ssl
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.lab import resumption
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.judgment import Outcome
from holdfast.lab.runner import Runner
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

Follow = Callable[[str, Callable[[str], ssl.SSLSocket | None]], bytes]

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# The slow one is about time limits, and is met by a client of its own below.
ATTACKS = [one for one in attacks() if one.id != "slow_loris"]
SEARCHED = 64
UNASKED = 0.1  # seconds in which an answer that nobody asked for is there


@dataclass(frozen=True)
class Seen:
    """What a check knows: the policy, and what came out of the handshake."""

    stage: Stage
    policy: dict[str, Any]
    host: str
    version: str | None
    resumed: bool
    presented: list[x509.Certificate]
    verified: list[x509.Certificate]

    @property
    def leaf(self) -> x509.Certificate:
        """The leaf."""
        return self.verified[0]

    @property
    def names(self) -> list[str]:
        """The DNS names of the leaf."""
        with suppress(x509.ExtensionNotFound):
            names = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            return names.value.get_values_for_type(x509.DNSName)
        return []

    @property
    def denied(self) -> bool:
        """Whether a denied key is on the path."""
        return not set(self.policy["holdfast"]["denied"]).isdisjoint(map(_pin, self.verified))

    @property
    def pins(self) -> set[str]:
        """The pins of the host's set."""
        host = self.host.lower().removesuffix(".")
        (pin_set,) = [one for one in self.policy["pin_set"].values() if host in one["hosts"]]
        return {pin for role in ("leaf", "backup", "ca") for pin in pin_set.get(role, [])}

    def pinned(self, chain: list[x509.Certificate]) -> bool:
        """Tell whether a pin of the host's set is in a chain."""
        return not self.pins.isdisjoint(map(_pin, chain))


def _pin(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256/{base64.b64encode(hashlib.sha256(spki).digest()).decode()}"


def _is_ca(certificate: x509.Certificate) -> bool:
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    return constraints.value.ca


def _right(seen: Seen) -> bool:
    return seen.pinned(seen.verified)


def _presented(seen: Seen) -> bool:
    """Match what was sent."""
    return seen.pinned(seen.presented)


def _second_is_the_issuer(seen: Seen) -> bool:
    """Take the second certificate for the leaf's issuer, if it is a CA's of another root."""
    second = seen.presented[1:2]
    roots = [one.subject for one in seen.verified[1:]]
    others = [one for one in second if _is_ca(one) and one.issuer not in roots]
    return _right(seen) or seen.pinned(others)


def _second_is_a_leaf(seen: Seen) -> bool:
    """Match a leaf that stands second, as a server that changes keys might send it."""
    return _right(seen) or seen.pinned([one for one in seen.presented[1:2] if not _is_ca(one)])


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


def _without_case(seen: Seen) -> bool:
    """Compare pins without case."""
    return _right(seen) or not {pin.lower() for pin in seen.pins}.isdisjoint(
        _pin(one).lower() for one in seen.verified
    )


def _empty_is_none(seen: Seen) -> bool:
    """Take an empty list of pins for no wish to pin."""
    return not seen.pins or _right(seen)


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


def _with_the_dot(seen: Seen) -> bool:
    """Look hosts up without case, but with a dot at their end."""
    return seen.host.endswith(".") or _right(seen)


def _with_case(seen: Seen) -> bool:
    """Look hosts up without a dot at their end, but with case."""
    return (not seen.host.islower() and seen.host != LOOPBACK) or _right(seen)


def _by_server_name(seen: Seen) -> bool:
    """Look hosts up by the server name, which addresses do not have."""
    return seen.host == LOOPBACK or _right(seen)


def _on_tls_13(seen: Seen) -> bool:
    """Check on TLS 1.3 only."""
    return seen.version != "TLSv1.3" or _right(seen)


def _takes_devices(seen: Seen) -> bool:
    """Take what signs itself for a device, which has no CA."""
    return seen.leaf.issuer == seen.leaf.subject or _right(seen)


def _no_name_is_any_name(seen: Seen) -> bool:
    """Check names only where there are some."""
    return _right(seen) and (not seen.names or seen.stage.host in seen.names)


def _any_name_will_do(seen: Seen) -> bool:
    """Ask for a name, and not for which."""
    return _right(seen) and bool(seen.names)


def _not_when_resumed(*versions: str) -> Callable[[Seen], bool]:
    """Skip the check when a session was resumed."""
    return lambda seen: (seen.resumed and seen.version in versions) or _right(seen)


@dataclass(frozen=True)
class Mutant:
    """A client with a broken check, and the attacks that it falls to."""

    falls_to: set[str]
    accepts: Callable[[Seen], bool] = _right
    verifies: bool = True
    checks_name: bool = True
    shows_certificate: bool = False
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] = (
        ssl.TLSVersion.TLSv1_2,
        ssl.TLSVersion.TLSv1_3,
    )
    knows_denied: bool = True
    reads_policy_again: bool = True
    falls_back: bool = False
    tries_again_after: type[OSError] | None = None
    insists_on_starttls: bool = True
    checks_starttls: bool = True
    renegotiates: bool = False
    reads_first: bool = False
    # Sessions by port alone, by host and port, and whether a new policy makes them worthless.
    sessions_of: Callable[[str], str] | None = None
    drops_sessions: bool = False


UNVERIFIED = {
    "certificate_without_names",
    "expired_right_key",
    "forged_leaf_naming_pinned_ca",
    "not_yet_valid_right_key",
    "wrong_host_right_key",
}
TLS_12 = {
    "client_certificate_asked_tls12",
    "resumed_for_another_host_tls12",
    "rogue_ca_tls12",
}
BOTH = "TLSv1.2", "TLSv1.3"
MUTANTS = {
    "none": Mutant(set()),
    "keeps sessions": Mutant(set(), sessions_of=lambda host: ""),
    "does not pin": Mutant(
        {attack.id for attack in ATTACKS if attack.fools_plain},
        lambda _: True,
        knows_denied=False,
        renegotiates=True,
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
    "second is the issuer": Mutant({"padded_with_pinned_ca"}, _second_is_the_issuer),
    "second is a leaf": Mutant({"padded_with_pinned_leaf"}, _second_is_a_leaf),
    "signed by the path": Mutant({"cross_signed_path"}, _signed_by_the_path),
    "last is the root": Mutant({"padded_with_pinned_root"}, _last_is_the_root),
    "gives up": Mutant({"huge_chain"}, _gives_up),
    "names": Mutant({"same_name_and_key_identifier"}, _names),
    "without case": Mutant({"pin_differing_in_case"}, _without_case),
    "an empty pin means none": Mutant({"empty_pin"}, _empty_is_none),
    "known issuer": Mutant({"misissued_by_own_ca"}, _issuer),
    "ignores denied": Mutant({"denied_key"}, knows_denied=False),
    "letter by letter": Mutant({"trailing_dot", "upper_case_host"}, _letter_by_letter),
    "with the dot": Mutant({"trailing_dot"}, _with_the_dot),
    "with case": Mutant({"upper_case_host"}, _with_case),
    "by server name": Mutant({"ip_literal"}, _by_server_name),
    "on TLS 1.3": Mutant(TLS_12, _on_tls_13),
    "takes devices": Mutant({"self_signed", *UNVERIFIED}, _takes_devices, verifies=False),
    "no name check": Mutant(
        {"certificate_without_names", "wrong_host_right_key"}, checks_name=False
    ),
    "no name is any name": Mutant(
        {"certificate_without_names"}, _no_name_is_any_name, checks_name=False
    ),
    "any name will do": Mutant({"wrong_host_right_key"}, _any_name_will_do, checks_name=False),
    "no verification": Mutant(UNVERIFIED, verifies=False),
    "after the handshake": Mutant(
        {"client_certificate_asked_tls12", "client_certificate_asked_tls13"},
        shows_certificate=True,
    ),
    "after the handshake of TLS 1.2": Mutant(
        {"client_certificate_asked_tls12"},
        shows_certificate=True,
        versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    ),
    "after the handshake of TLS 1.3": Mutant(
        {"client_certificate_asked_tls13"},
        shows_certificate=True,
        versions=(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
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
    "tries again without TLS": Mutant(
        {"reset_in_handshake"}, tries_again_after=ConnectionResetError
    ),
    "takes what waits": Mutant({"server_speaks_first"}, reads_first=True),
    "renegotiates": Mutant({"renegotiation"}, renegotiates=True),
    "reads its policy once": Mutant(
        {"resumed_after_pins_changed_tls12", "resumed_after_pins_changed_tls13"},
        reads_policy_again=False,
    ),
    "skips on resumption": Mutant(
        {
            "resumed_after_pins_changed_tls12",
            "resumed_after_pins_changed_tls13",
            "resumed_for_another_host_tls12",
            "resumed_for_another_host_tls13",
        },
        _not_when_resumed(*BOTH),
        sessions_of=lambda host: "",
    ),
    **{
        f"sessions for any host, {version}": Mutant(
            {f"resumed_for_another_host_tls{version[-3]}{version[-1]}"},
            _not_when_resumed(version),
            sessions_of=lambda host: "",
            drops_sessions=True,
        )
        for version in BOTH
    },
    **{
        f"sessions older than the policy, {version}": Mutant(
            {f"resumed_after_pins_changed_tls{version[-3]}{version[-1]}"},
            _not_when_resumed(version),
            sessions_of=lambda host: host,
        )
        for version in BOTH
    },
    "no pins after STARTTLS": Mutant({"smtp_starttls"}, checks_starttls=False),
    "takes TLS when offered": Mutant({"starttls_stripped"}, insists_on_starttls=False),
}


@pytest.fixture(scope="module")
def stage() -> Stage:
    """The authorities and keys that all attacks here share."""
    return Stage.new()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients here are told of a new policy, and need no time to notice it."""
    monkeypatch.setattr(resumption, "_NOTICE", 0)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_broken_check_falls(stage: Stage, name: str, follow: Follow) -> None:
    """A check falls to the attacks on what is broken in it, and to no other."""
    mutant = MUTANTS[name]

    assert mutant.falls_to == {
        attack.id for attack in ATTACKS if _falls(stage, mutant, attack, follow)
    }


def test_no_time_limit() -> None:
    """A client that waits for the end of a handshake without a limit hangs in the slow one."""
    source = (
        "import os, socket, ssl, sys\n"
        "context = ssl.create_default_context()\n"
        "with socket.create_connection(('localhost', int(sys.argv[1]))) as tcp:\n"
        "    with context.wrap_socket(tcp, server_hostname='localhost') as tls:\n"
        "        tls.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
    )
    (slow,) = [one for one in attacks() if one.id == "slow_loris"]
    with Runner([sys.executable, "-c", source, "{port}"], timeout=3) as runner:
        assert Outcome.HUNG is runner.run(slow).outcome


def test_each_attack_has_a_check_of_its_own_or_is_a_control() -> None:
    """No attack is there for nothing: a broken check falls to it alone, or it says what it is."""
    alone = {next(iter(one.falls_to)) for one in MUTANTS.values() if len(one.falls_to) == 1}
    controls = {one.id for one in attacks() if "the control" in " ".join(one.description.split())}

    assert set() == {one.id for one in attacks()} - alone - controls


def _falls(stage: Stage, mutant: Mutant, attack: Attack, follow: Follow) -> bool:
    told = attack.misconfigure(stage) if attack.misconfigure else {}
    client = _Client(mutant, stage, told.get("policy", attack.policy_toml(stage)))
    with attack.rogue(replace(stage, publish=client.publish)) as server:
        with suppress(OSError):
            if attack.transport == "smtp":
                client.talk_smtp(server, attack.host(stage))
            else:
                follow(attack.host(stage), lambda host: client.connect(server, host))
        seen = server.wait_until(lambda log: bool(log) and all(one.closed for one in log))
    return any(
        one.application_bytes or _leaked(attack, one.received_plain) or one.client_certificate
        for one in seen
        if not one.prelude
    )


def _leaked(attack: Attack, plain: bytes) -> bool:
    """Tell whether something came outside of TLS that matters."""
    return b"AUTH" in plain if attack.transport == "smtp" else bool(plain)


class _KeepingSocket(ssl.SSLSocket):
    """Keeps its session when it is closed: the tickets have been read by then."""

    kept_in: tuple[dict[str, ssl.SSLSession], str] | None = None

    def close(self) -> None:
        """Keep the session, then close."""
        if self.kept_in and self.session is not None:
            sessions, key = self.kept_in
            sessions[key] = self.session
        super().close()


@dataclass
class _Client:
    """A client with a mutant's check."""

    mutant: Mutant
    stage: Stage
    policy: str
    sessions: dict[str, ssl.SSLSession] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mutant = self.mutant
        self.context = ssl.create_default_context(cadata=self.stage.anchors_pem)
        self.context.check_hostname = mutant.verifies and mutant.checks_name
        self.context.verify_mode = ssl.CERT_REQUIRED if mutant.verifies else ssl.CERT_NONE
        self.context.minimum_version, self.context.maximum_version = mutant.versions
        if not mutant.renegotiates:
            self.context.options |= ssl.OP_NO_RENEGOTIATION
        if mutant.shows_certificate:
            self.stage.client.load_into(self.context)
        self.context.sslsocket_class = _KeepingSocket

    def publish(self, policy: str) -> None:
        """Take a new policy."""
        if self.mutant.reads_policy_again:
            self.policy = policy
        if self.mutant.drops_sessions:
            self.sessions = {}

    def talk_smtp(self, server: LabServer, host: str) -> None:
        """Go over to TLS if the server offers it, and send a password."""
        with smtplib.SMTP(host, server.port, timeout=5) as client:
            client.ehlo()
            if client.has_extn("starttls"):
                client.docmd("STARTTLS")
                assert client.sock is not None
                client.sock = self.context.wrap_socket(client.sock, server_hostname=host)
                client.file = None
                if self.mutant.checks_starttls and not self._accepts(client.sock, host):
                    client.close()
                    return
            elif self.mutant.insists_on_starttls:
                return
            client.docmd("AUTH", "PLAIN AHVzZXIAc2VjcmV0")

    def connect(self, server: LabServer, host: str) -> ssl.SSLSocket | None:
        """Connect and check; None if the check refuses."""
        key = self.mutant.sessions_of(host) if self.mutant.sessions_of else None
        tcp = socket.create_connection((server.address, server.port), timeout=5)
        with tcp.dup() as spare:
            try:
                session = None if key is None else self.sessions.get(key)
                tls = self.context.wrap_socket(tcp, server_hostname=host, session=session)
            except OSError as error:
                self._without_tls(error, spare, server)
                raise
        assert isinstance(tls, _KeepingSocket)
        if not self._accepts(tls, host):
            tls.close()
            return None
        if key is not None:
            tls.kept_in = self.sessions, key
        return tls

    def _accepts(self, tls: ssl.SSLSocket, host: str) -> bool:
        if self.mutant.reads_first and _answers_unasked(tls):
            return True
        chains = tls._sslobj  # type: ignore[attr-defined]  # public from Python 3.13 on
        presented = _certificates(chains.get_unverified_chain())
        verified = _certificates(chains.get_verified_chain())
        if tls.session_reused:  # there is no chain: what is known is the leaf
            verified = [x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")]
        policy = tomllib.loads(self.policy)
        seen = Seen(
            self.stage, policy, host, tls.version(), bool(tls.session_reused), presented, verified
        )
        if self.mutant.knows_denied and seen.denied and not self._skips(seen):
            return False
        return self.mutant.accepts(seen)

    def _skips(self, seen: Seen) -> bool:
        """Whoever skips the check of pins when a session is resumed skips that of denied keys."""
        return seen.resumed and self.mutant.accepts(seen) and not _right(seen)

    def _without_tls(self, error: OSError, spare: socket.socket, server: LabServer) -> None:
        if self.mutant.falls_back:
            _send_in_the_clear(spare)
        if self.mutant.tries_again_after and isinstance(error, self.mutant.tries_again_after):
            with socket.create_connection((server.address, server.port), timeout=5) as again:
                _send_in_the_clear(again)


def _send_in_the_clear(tcp: socket.socket) -> None:
    tcp.sendall(REQUEST)
    tcp.shutdown(socket.SHUT_WR)
    while tcp.recv(65536):  # to close before all is read would be a reset
        pass


def _answers_unasked(tls: ssl.SSLSocket) -> bool:
    tls.settimeout(UNASKED)
    try:
        return bool(tls.recv(1))
    except TimeoutError:
        return False
    finally:
        tls.settimeout(5)


def _certificates(chain: list[ssl._ssl.Certificate] | None) -> list[x509.Certificate]:  # type: ignore[name-defined]
    return [x509.load_pem_x509_certificate(one.public_bytes().encode()) for one in chain or []]
