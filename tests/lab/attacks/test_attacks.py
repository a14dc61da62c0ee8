"""Each attack is what its description says: what it shows, whom it fools, whom it does not.

What came through is read from the server's log. Keys are made once.
"""

import asyncio
import imaplib
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from urllib3.util.ssltransport import SSLTransport

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.policy_file import PolicyFile
from holdfast.errors import PolicyError
from holdfast.lab import resumption
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.connection_log import Connection
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

ATTACKS = {attack.id: attack for attack in attacks()}

HONEST = ("pinned <- issuing", "issuing <- honest")
MISISSUED = ("new <- issuing", "issuing <- honest")
# What is presented, leaf first: whose key, and whose signature.
CHAINS = {
    "added_root": ("new <- nobody",),
    "address_as_name": MISISSUED,
    "certificate_for_clients": MISISSUED,
    "client_certificate_asked_afterwards": ("new <- rogue",),
    "connection_kept_after_pins_changed": HONEST,
    "connection_kept_for_another_host": ("new <- rogue",),
    "expired_ca": ("new <- issuing", "issuing <- honest"),
    "imap_starttls": ("new <- rogue",),
    "leaf_as_ca": ("new <- next", "new <- issuing", "issuing <- honest"),
    "many_names": ("new <- rogue",),
    "name_constraints_broken": ("new <- next", "new <- honest"),
    "name_in_another_field": MISISSUED,
    "names_as_text": MISISSUED,
    "nul_in_name": MISISSUED,
    "path_by_name": ("new <- next", "new <- rogue", "issuing <- honest"),
    "path_length_exceeded": ("new <- next", "new <- next", "new <- honest"),
    "redirect_to_http": HONEST,
    "redirect_to_unlisted_host": HONEST,
    "rogue_ca_http2": ("new <- rogue",),
    "secrets_logged": HONEST,
    "short_address": ("new <- rogue",),
    "long_s_in_host": ("new <- rogue",),
    "space_in_name": MISISSUED,
    "ssl_patched_by_gevent": ("new <- rogue",),
    "ssl_replaced_by_truststore": ("new <- rogue",),
    "through_http_proxy": ("new <- rogue",),
    "through_https_proxy": ("new <- rogue",),
    "unknown_critical_extension": MISISSUED,
    "untrusted_root": MISISSUED,
    "unusual_key_ed25519": ("new <- rogue",),
    "unusual_key_p521": ("new <- rogue",),
    "unusual_key_rsa_pss": ("new <- rogue",),
    "wildcard_for_everything": MISISSUED,
    "certificate_without_names": HONEST,
    "client_certificate_asked_tls12": ("new <- rogue",),
    "client_certificate_asked_tls13": ("new <- rogue",),
    "cross_signed_path": ("new <- rogue", "issuing <- rogue"),
    "denied_key": HONEST,
    "empty_pin": ("new <- rogue",),
    "expired_right_key": HONEST,
    "forged_leaf_naming_pinned_ca": ("new <- nobody", "issuing <- honest"),
    "huge_chain": ("new <- rogue", *["issuing <- honest"] * 99, "pinned <- issuing"),
    "ip_literal": ("new <- rogue",),
    "misissued_by_own_ca": ("new <- issuing", "issuing <- honest"),
    "not_yet_valid_right_key": HONEST,
    "padded_with_pinned_ca": ("new <- rogue", "issuing <- honest"),
    "padded_with_pinned_leaf": ("new <- rogue", "pinned <- issuing"),
    "padded_with_pinned_root": ("new <- rogue", "issuing <- honest", "honest <- honest"),
    "pin_differing_in_case": ("rogue <- rogue",),
    "renegotiation": HONEST,
    "resumed_after_pins_changed_tls12": HONEST,
    "resumed_after_pins_changed_tls13": HONEST,
    "resumed_for_another_host_tls12": ("new <- rogue",),
    "resumed_for_another_host_tls13": ("new <- rogue",),
    "rogue_ca": ("new <- rogue",),
    "rogue_ca_tls12": ("new <- rogue",),
    "same_name_and_key_identifier": ("new <- next", "new <- rogue"),
    "self_signed": ("new <- itself",),
    "server_speaks_first": ("new <- rogue",),
    "smtp_starttls": ("new <- rogue",),
    "trailing_dot": ("new <- rogue",),
    "upper_case_host": ("new <- rogue",),
    "wrong_host_right_key": HONEST,
}
# Why a client that only verifies is not fooled: OpenSSL's words, or the error that it is.
REFUSALS: dict[str, str | type[Exception]] = {
    "address_as_name": "IP address mismatch",
    "certificate_for_clients": "purpose",
    "expired_ca": "certificate has expired",
    "explicit_curve": "unable to get local issuer",
    "imap_preauth": imaplib.IMAP4.error,
    "imap_starttls_stripped": imaplib.IMAP4.error,
    "leaf_as_ca": "invalid CA certificate",
    "name_constraints_broken": "permitted subtree violation",
    "name_in_another_field": "Hostname mismatch",
    "names_as_text": "Hostname mismatch",
    "nul_in_name": "Hostname mismatch",
    "path_length_exceeded": "path length constraint exceeded",
    "space_in_name": "Hostname mismatch",
    "unknown_critical_extension": "unhandled critical extension",
    "untrusted_root": "unable to get local issuer",
    "wildcard_for_everything": "Hostname mismatch",
    "answer_in_the_clear": "WRONG_VERSION_NUMBER",
    "certificate_without_names": "Hostname mismatch",
    "corrupted_handshake": "ASN1",
    "expired_right_key": "certificate has expired",
    "forged_leaf_naming_pinned_ca": "certificate signature failure",
    "not_yet_valid_right_key": "certificate is not yet valid",
    "reset_in_handshake": ConnectionResetError,
    "self_signed": "self-signed certificate",
    "slow_loris": TimeoutError,
    "starttls_stripped": smtplib.SMTPNotSupportedError,
    "truncated_handshake": ssl.SSLEOFError,
    "unproven_possession": "BAD_SIGNATURE",
    "wrong_host_right_key": "Hostname mismatch",
}

# Where something else than a pin refuses: renegotiation is refused altogether, and so is what is no
# name; a connection that was shut down shows it in its own way.
NO_VIOLATION = {
    "connection_kept_after_pins_changed",
    "long_s_in_host",
    "renegotiation",
    "short_address",
}
# What a context cannot stop; `examples/clients` are attacked with these.
BY_THE_LIBRARY = {"redirect_to_http", "redirect_to_unlisted_host"}

Follow = Callable[[str, Callable[[str, str, socket.socket | None], socket.socket | None]], bytes]


@pytest.fixture(params=ATTACKS)
def attack(request: pytest.FixtureRequest) -> Attack:
    """Each attack in turn."""
    return ATTACKS[request.param]


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client here is told of a new policy, and needs no time to notice it.

    Only to shut down what is open takes a moment, and is not waited for by whoever tells it. It
    must not come before the answer that leads on, where that is what an attack is about.
    """
    if "connection_kept_after_pins_changed" not in request.node.name:
        monkeypatch.setattr(resumption, "_NOTICE", 0)
        monkeypatch.setattr(LiveConnections, "look", lambda _: None)


@pytest.fixture(scope="session")
def stage() -> Stage:
    """The authorities and keys that all attacks here share."""
    return Stage.new()


class Client:
    """A client that goes over to TLS with the context it is given, and follows redirects."""

    def __init__(self, stage: Stage, folder: Path, follow: Follow) -> None:
        """Start without a policy."""
        self.stage = replace(stage, publish=self._publish)
        self.found = folder / "found"
        self.found.mkdir()
        self._policy = folder / "pins.toml"
        self._source: PolicyFile | None = None
        self._anchors = folder / "anchors.pem"
        self._anchors.write_text(stage.anchors_pem, "ascii")
        self._follow = follow

    def _publish(self, policy: str) -> None:
        self._policy.write_text(policy, "ascii")
        if self._source:
            self._source.refresh()

    def plain(self, attack: Attack | None = None) -> ssl.SSLContext:
        """Return the context of a client that verifies and does not pin, under an attack if any."""
        anchors = attack.told(self.stage).get("anchors") if attack else None
        context = ssl.create_default_context(cadata=anchors or self.stage.anchors_pem)
        self.stage.client.load_into(context)
        return context

    def pinned(
        self, attack: Attack, policy: str | None = None, anchors: str | None = None
    ) -> ssl.SSLContext:
        """Return the context of a client with the attack's policy, or another one."""
        self._publish(policy or attack.policy_toml(attack.setting(self.stage)))
        self._source = PolicyFile(self._policy)
        self._anchors.write_text(anchors or self.stage.anchors_pem, "ascii")
        return PinningContext(self._source, public_anchors=self._anchors)

    def visit(
        self,
        attack: Attack,
        make: Callable[[Stage], LabServer],
        context: ssl.SSLContext,
        timeout: float = 5,
        host: str | None = None,
    ) -> tuple[Exception | None, list[Connection]]:
        """Talk to a server; return why that failed, and what counts of what the server saw."""
        failure: Exception | None = None
        host = host or attack.host(self.stage)
        with make(attack.setting(self.stage)) as server:
            try:
                if attack.transport == "smtp":
                    _smtp(server, context, host)
                elif attack.transport == "imap":
                    _imap(server, context, host)
                else:
                    connect = partial(_connect, attack, server, context, timeout)
                    answer = self._follow(host, connect)
                    if not answer.startswith(b"HTTP/1.1 200 OK"):
                        raise ConnectionError("the connection ended before there was an answer")
            except (OSError, ValueError, imaplib.IMAP4.error) as error:
                failure = error
            seen = server.wait_until(lambda log: all(one.closed for one in log))
        return failure, [one for one in seen if not one.prelude]


def _connect(
    attack: Attack,
    server: LabServer,
    context: ssl.SSLContext,
    timeout: float,
    scheme: str,
    host: str,
    kept: socket.socket | None,
) -> Any:  # noqa: ANN401 (a socket, or what looks like one)
    if kept is not None and isinstance(kept, ssl.SSLSocket) and kept.server_hostname == host:
        return kept
    if kept is not None:
        kept.close()
    tcp = socket.create_connection((server.address, server.port), timeout)
    if scheme == "http":
        return tcp
    try:
        if attack.proxy == "https":
            tcp = context.wrap_socket(tcp, server_hostname=server.host)
        if attack.proxy:
            tcp.sendall(f"CONNECT {host}:{server.port} HTTP/1.1\r\n\r\n".encode())
            assert tcp.recv(65536).startswith(b"HTTP/1.1 200")
        if attack.proxy == "https":
            return SSLTransport(tcp, context, server_hostname=host)
        return context.wrap_socket(tcp, server_hostname=host)
    except (OSError, ValueError):
        tcp.close()
        raise


def _smtp(server: LabServer, context: ssl.SSLContext, host: str) -> None:
    client = smtplib.SMTP(host, server.port, timeout=5)
    try:
        client.starttls(context=context)
        client.noop()
    finally:
        client.close()


def _imap(server: LabServer, context: ssl.SSLContext, host: str) -> None:
    client = imaplib.IMAP4(host, server.port, timeout=5)
    try:
        client.starttls(context)
        client.noop()
    finally:
        with suppress(OSError):
            client.shutdown()


@pytest.fixture
def client(stage: Stage, tmp_path: Path, follow: Follow) -> Client:
    """Return a client."""
    return Client(stage, tmp_path, follow)


def _limit(attack: Attack) -> float:
    """Return how many seconds a client has: the slow attack is over when the client gives up."""
    return 0.2 if attack.id == "slow_loris" else 5


def test_all_attacks_are_described_here() -> None:
    """The tables above know each attack, and why it fools nobody where it does not."""
    assert ATTACKS.keys() == CHAINS.keys() | REFUSALS.keys()
    assert REFUSALS.keys() == {attack.id for attack in ATTACKS.values() if not attack.fools_plain}


def test_who_does_not_pin_is_fooled_as_described(
    attack: Attack, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that only verifies sends something to the attacker, or refuses as described."""
    told = attack.told(stage)
    variables = attack.environment(client.found) if attack.environment else {}
    for name in variables.keys() & {"SSLKEYLOGFILE"}:
        monkeypatch.setenv(name, variables[name])
    context = client.plain(attack)

    failure, seen = client.visit(
        attack, attack.rogue, context, _limit(attack), host=told.get("host")
    )

    if attack.loot:
        assert attack.fools_plain == bool(attack.loot(client.found))
        return
    taken = sum(one.application_bytes + len(_requests_in_the_clear(one)) for one in seen)
    assert attack.fools_plain == (taken > 0)
    assert attack.fools_plain == (failure is None)
    reason = REFUSALS.get(attack.id)
    assert reason is None or (
        reason in str(failure) if isinstance(reason, str) else isinstance(failure, reason)
    )


def _requests_in_the_clear(seen: Connection) -> bytes:
    return seen.received_plain if b"HTTP/1.1" in seen.received_plain else b""


@pytest.mark.threat("T09", "T10", "T43", "T45", "T46")
def test_who_pins_is_not_fooled(
    attack: Attack, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that pins sends the attacker no data, in TLS or in the clear."""
    if attack.id in BY_THE_LIBRARY:
        pytest.skip("an SSL context does not see redirects: the HTTP library has to be told")
    if attack.environment:
        for name, value in attack.environment(client.found).items():
            monkeypatch.setenv(name, value)
    told = attack.told(stage)
    context = client.pinned(attack, anchors=told.get("anchors"))

    failure, seen = client.visit(
        attack, attack.rogue, context, _limit(attack), host=told.get("host")
    )

    if attack.loot:
        assert (None, b"") == (failure, attack.loot(client.found))
        return
    assert failure is not None, seen
    assert 0 == sum(one.application_bytes for one in seen)
    said = {line.split()[0].upper() for one in seen for line in one.received_plain.splitlines()}
    if attack.transport != "imap":
        assert said <= ({b"EHLO", b"STARTTLS"} if attack.transport == "smtp" else set())
    if attack.fools_plain and attack.id not in NO_VIOLATION:
        assert isinstance(failure, PinViolationError)


@pytest.mark.threat("T36")
def test_an_empty_pin_is_no_pin_set(client: Client) -> None:
    """A policy without pins is refused when it is read, before anything could connect."""
    misconfigure = ATTACKS["empty_pin"].misconfigure
    assert misconfigure is not None
    told = misconfigure(client.stage)

    assert {"", told["policy"]} == set(told.values())
    with pytest.raises(PolicyError, match="leaf"):
        client.pinned(ATTACKS["empty_pin"], told["policy"])


def test_pins_that_differ_in_case_only(client: Client, stage: Stage) -> None:
    """The policy pins the attacker's key but for its case, and is otherwise sound."""
    attack = ATTACKS["pin_differing_in_case"]
    policy = attack.policy_toml(stage)

    assert stage.rogue.spki_pin not in policy
    assert stage.rogue.spki_pin.lower() in policy.lower()
    client.pinned(attack)


def test_the_honest_server_is_accepted(attack: Attack, client: Client) -> None:
    """The control of each attack is a server that a pinning client talks to."""
    failure, seen = client.visit(attack, attack.honest, client.pinned(attack))

    assert failure is None
    assert sum(one.application_bytes for one in seen) > 0


def test_the_honest_server_is_trusted(attack: Attack, client: Client) -> None:
    """Nor does the control ask for anything that a client that only verifies would refuse."""
    failure, _ = client.visit(attack, attack.honest, client.plain())

    assert failure is None


@pytest.mark.parametrize("attack_id", CHAINS)
def test_the_chain_is_the_one_drawn(stage: Stage, attack_id: str) -> None:
    """A client that verifies nothing finds the certificates of the description, in that order."""
    chain = _presented(stage, ATTACKS[attack_id])

    assert CHAINS[attack_id] == tuple(
        f"{_owner(stage, one)} <- {_signer(stage, one, chain[position + 1 :])}"
        for position, one in enumerate(chain)
    )


def test_copies_differ_in_their_keys_only(stage: Stage) -> None:
    """What a check might compare instead of keys is the same in the copies."""
    for copy, original in zip(
        _presented(stage, ATTACKS["same_name_and_key_identifier"]),
        stage.server.chain,
        strict=True,
    ):
        assert original.public_key() != copy.public_key()
        assert original.subject == copy.subject
        assert original.serial_number == copy.serial_number
        assert original.not_valid_after_utc == copy.not_valid_after_utc
        identifier = x509.SubjectKeyIdentifier
        assert original.extensions.get_extension_for_class(
            identifier
        ) == copy.extensions.get_extension_for_class(identifier)


def test_the_forged_leaf_names_the_pinned_ca(stage: Stage) -> None:
    """By name the forged leaf leads to the pinned CA."""
    leaf, ca = _presented(stage, ATTACKS["forged_leaf_naming_pinned_ca"])

    assert leaf.issuer == ca.subject


def test_the_first_word_is_the_servers(stage: Stage, client: Client) -> None:
    """The answer is there although nothing was asked."""
    attack = ATTACKS["server_speaks_first"]
    with (
        attack.rogue(stage) as server,
        socket.create_connection((server.address, server.port), timeout=5) as tcp,
        client.plain().wrap_socket(tcp, server_hostname=stage.host) as tls,
    ):
        assert tls.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_without_starttls_mail_is_taken_in_the_clear(stage: Stage) -> None:
    """Who does not insist on TLS hands over the password: the control can fail."""
    with (
        ATTACKS["starttls_stripped"].rogue(stage) as server,
        smtplib.SMTP(stage.host, server.port, timeout=5) as client,
    ):
        assert not client.has_extn("starttls")
        assert (235, b"welcome") == client.docmd("AUTH", "PLAIN AHVzZXIAc2VjcmV0")

    (seen,) = server.connections
    assert b"AHVzZXIAc2VjcmV0" in seen.received_plain


@pytest.mark.parametrize("version", ["12", "13"])
def test_who_does_not_pin_shows_its_certificate(stage: Stage, client: Client, version: str) -> None:
    """The attacker learns who the client is, on the TLS version that the attack is about."""
    attack = ATTACKS[f"client_certificate_asked_tls{version}"]

    _, (seen,) = client.visit(attack, attack.rogue, client.plain())

    assert stage.client.der == seen.client_certificate
    assert f"TLSv1.{version[1]}" == seen.version


@pytest.mark.parametrize("version", ["12", "13"])
async def test_who_pins_keeps_its_certificate(stage: Stage, client: Client, version: str) -> None:
    """A client that pins shows its certificate to the honest server and not to the attacker."""
    attack = ATTACKS[f"client_certificate_asked_tls{version}"]
    context = client.pinned(attack)
    stage.client.load_into(context)

    with attack.rogue(stage) as rogue, attack.honest(stage) as honest:
        with pytest.raises(PinViolationError):
            await asyncio.open_connection(stage.host, rogue.port, ssl=context)
        _, writer = await asyncio.open_connection(stage.host, honest.port, ssl=context)
        writer.close()
        await writer.wait_closed()
        (by_rogue,) = await asyncio.to_thread(rogue.wait_for, 1)
        (by_honest,) = await asyncio.to_thread(honest.wait_for, 1)

    assert (None, 0) == (by_rogue.client_certificate, by_rogue.application_bytes)
    assert stage.client.der == by_honest.client_certificate


def _presented(stage: Stage, attack: Attack) -> list[x509.Certificate]:
    """Return what the attacker sends, read by a client that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with attack.rogue(attack.setting(stage)) as server:
        if attack.transport == "smtp":
            client = smtplib.SMTP(stage.host, server.port, timeout=5)
            client.starttls(context=context)
            tls: Any = client.sock
        elif attack.transport == "imap":
            reader = imaplib.IMAP4(stage.host, server.port, timeout=5)
            reader.starttls(context)
            tls = reader.sock
        else:
            host = attack.told(stage).get("host", attack.host(stage))
            tls = _connect(attack, server, context, 5, "https", host, None)
        with tls if isinstance(tls, socket.socket) else closing(tls):
            # Public from Python 3.13 on.
            chain = getattr(tls, "sslobj", tls)._sslobj.get_unverified_chain()
    return [x509.load_pem_x509_certificate(one.public_bytes().encode()) for one in chain]


def _owner(stage: Stage, certificate: x509.Certificate) -> str:
    for name, known in _known(stage).items():
        if known.public_key() == certificate.public_key():
            return name
    return "new"


def _signer(stage: Stage, certificate: x509.Certificate, behind: list[x509.Certificate]) -> str:
    signers = {**_known(stage), "itself": certificate}
    if behind:
        signers["next"] = behind[0]
    for name, signer in signers.items():
        with suppress(ValueError, InvalidSignature):
            certificate.verify_directly_issued_by(signer)
            return name
    return "nobody"


def _known(stage: Stage) -> dict[str, x509.Certificate]:
    return {
        "pinned": stage.server.certificate,
        "issuing": stage.issuing.certificate,
        "honest": stage.honest.certificate,
        "rogue": stage.rogue.certificate,
    }
