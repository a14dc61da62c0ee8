"""Broken checks, and the attacks that each of them falls to: why the attacks are there.

A check runs behind the handshake here, and says whether the request may leave.
"""

import base64
import fnmatch
import hashlib
import imaplib
import os
import smtplib
import socket
import ssl
import sys
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from urllib3.util.ssltransport import SSLTransport

from holdfast.lab import resumption
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.judgment import Outcome
from holdfast.lab.key_encoding import is_for_pss, spki_of
from holdfast.lab.runner import Runner
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage

Follow = Callable[[str, Callable[[str, str, socket.socket | None], socket.socket | None]], bytes]
BuildPath = Callable[
    [list[x509.Certificate], Sequence[x509.Certificate], str], list[x509.Certificate] | None
]

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# The slow one is about time limits, and is met by a client of its own below.
ATTACKS = [one for one in attacks() if one.id != "slow_loris"]
SEARCHED = 64
MOST_NAMES = 1000
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
    def is_listed(self) -> bool:
        """Whether there is a pin set for the host."""
        host = _canonical(self.host)
        return any(host in one["hosts"] for one in self.policy["pin_set"].values())

    @property
    def pins(self) -> set[str]:
        """The pins of the host's set; none if there is no set for it."""
        host = _canonical(self.host)
        sets = [one for one in self.policy["pin_set"].values() if host in one["hosts"]]
        return {
            pin for one in sets for role in ("leaf", "backup", "ca") for pin in one.get(role, [])
        }

    def pinned(self, chain: list[x509.Certificate]) -> bool:
        """Tell whether a pin of the host's set is in a chain."""
        return not self.pins.isdisjoint(map(_pin, chain))


def _canonical(host: str) -> str:
    """Return a host as it is connected to in the end."""
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(name))
    return name


def _pin(certificate: x509.Certificate) -> str:
    return f"sha256/{base64.b64encode(hashlib.sha256(spki_of(certificate)).digest()).decode()}"


def _is_ca(certificate: x509.Certificate) -> bool:
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    return constraints.value.ca


def _right(seen: Seen) -> bool:
    if not seen.is_listed:
        return bool(seen.policy["holdfast"]["unlisted"] == "allow")
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
    """Look hosts up with a dot at their end."""
    return seen.host.endswith(".") or _right(seen)


def _with_case(seen: Seen) -> bool:
    """Look hosts up with their case."""
    return seen.host != seen.host.lower() or _right(seen)


def _by_ascii_only(seen: Seen) -> bool:
    """Look hosts up without case, but as they are written where they are not ASCII."""
    return not seen.host.isascii() or _right(seen)


def _numbers_are_names(seen: Seen) -> bool:
    """Look hosts up as names that are not addresses in canonical text."""
    return seen.host.isdecimal() or _right(seen)


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


def _by_names_of(takes: Callable[[Seen], list[str]]) -> Callable[[Seen], bool]:
    """Find the host among what somebody takes for the names of the leaf."""
    return lambda seen: (
        _right(seen)
        and any(name in {seen.stage.host, _canonical(seen.host)} for name in takes(seen))
    )


def _all_names(seen: Seen) -> list[str]:
    """Return the names and addresses of the leaf as texts."""
    with suppress(x509.ExtensionNotFound):
        value = seen.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return seen.names + [str(one) for one in value.get_values_for_type(x509.IPAddress)]
    return []


def _right_names(seen: Seen) -> list[str]:
    """Return the names if the host is one, and the addresses if it is one."""
    if _canonical(seen.host) != LOOPBACK:
        return seen.names
    value = seen.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(one) for one in value.get_values_for_type(x509.IPAddress)]


def _up_to_nul(seen: Seen) -> list[str]:
    return [name.partition("\0")[0] for name in _right_names(seen)]


def _tidied(seen: Seen) -> list[str]:
    return [name.strip() for name in _right_names(seen)]


def _from_text(seen: Seen) -> list[str]:
    text = ", ".join(f"DNS:{name}" for name in _right_names(seen))
    return [one.removeprefix("DNS:") for one in text.split(", ")]


def _from_subject(seen: Seen) -> list[str]:
    text = ", ".join(
        f"{one.rfc4514_attribute_name}={one.value}"
        for one in seen.leaf.subject
        if isinstance(one.value, str)
    )
    found = [one.removeprefix("CN=") for one in text.split(", ") if one.startswith("CN=")]
    return [*_right_names(seen), *found]


def _like_files(seen: Seen) -> list[str]:
    names = _right_names(seen)
    return [seen.stage.host] if any(fnmatch.fnmatch("localhost", one) for one in names) else names


def _not_if_many(seen: Seen) -> bool:
    """Accept a certificate with more names than are searched."""
    return len(seen.names) > MOST_NAMES or _right(seen)


def _nothing_to_compare(kind: Callable[[x509.Certificate], bool]) -> Callable[[Seen], bool]:
    """Accept keys of a kind that the check cannot read."""
    return lambda seen: kind(seen.leaf) or _right(seen)


def _is_ed25519(certificate: x509.Certificate) -> bool:
    return isinstance(certificate.public_key(), ed25519.Ed25519PublicKey)


def _is_p521(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP521R1)


def _same_point(seen: Seen) -> bool:
    """Take a CA for the pinned one if the point of its key is the same."""
    known = [one for one in (seen.stage.issuing.certificate,) if seen.pinned([one])]
    points = {spki_of(one)[-64:] for one in known}
    return _right(seen) or not points.isdisjoint(spki_of(one)[-64:] for one in seen.verified[1:])


def _not_added(seen: Seen) -> bool:
    """Leave connections alone that lead to a root which somebody has added on the machine."""
    first = {seen.stage.honest.certificate, seen.stage.rogue.certificate}
    return seen.verified[-1] not in first or _right(seen)


def _walks_by_name(seen: Seen) -> bool:
    """Match on any path through what was sent, from name to name, behind a verification."""
    reached = [seen.leaf]
    for one in reached:
        reached += [
            candidate
            for candidate in seen.presented
            if candidate.subject == one.issuer and candidate not in reached
        ]
    return _right(seen) or seen.pinned(reached)


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
    # A rule that the client's own verifier has forgotten; None: it has none of its own.
    forgets: str | None = None
    takes_pinned_ca_for_anchor: bool = False
    judges_kept: bool = True
    shares_connections: bool = False
    goes_to_http: bool = False
    goes_anywhere: bool = False
    behind_proxy: frozenset[str] = frozenset({"http", "https"})  # where it checks
    protocols: tuple[str, ...] = ()
    checks_http2: bool = True
    reads_ahead: bool = False
    logs_secrets: bool = False
    checks_imap: bool = True
    insists_on_imap_starttls: bool = True
    takes_preauth: bool = False


WRONG_NAMES = {
    "address_as_name",
    "name_in_another_field",
    "names_as_text",
    "nul_in_name",
    "space_in_name",
    "wildcard_for_everything",
}
UNVERIFIED = {
    "certificate_for_clients",
    "certificate_without_names",
    "expired_ca",
    "expired_right_key",
    "forged_leaf_naming_pinned_ca",
    "leaf_as_ca",
    "name_constraints_broken",
    "not_yet_valid_right_key",
    "path_length_exceeded",
    "unknown_critical_extension",
    "untrusted_root",
    "wrong_host_right_key",
    *WRONG_NAMES,
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
        goes_to_http=True,
        goes_anywhere=True,
        logs_secrets=True,
    ),
    "presented chain": Mutant(
        {
            "cross_signed_path",
            "huge_chain",
            "padded_with_pinned_ca",
            "padded_with_pinned_leaf",
            "padded_with_pinned_root",
            "path_by_name",
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
    "letter by letter": Mutant(
        {"long_s_in_host", "short_address", "trailing_dot", "upper_case_host"}, _letter_by_letter
    ),
    "by ASCII only": Mutant({"long_s_in_host"}, _by_ascii_only),
    "numbers are names": Mutant({"short_address"}, _numbers_are_names),
    "up to NUL": Mutant({"nul_in_name"}, _by_names_of(_up_to_nul), checks_name=False),
    "tidied names": Mutant({"space_in_name"}, _by_names_of(_tidied), checks_name=False),
    "names from text": Mutant({"names_as_text"}, _by_names_of(_from_text), checks_name=False),
    "names from the subject": Mutant(
        {"name_in_another_field"}, _by_names_of(_from_subject), checks_name=False
    ),
    "names like files": Mutant(
        {"wildcard_for_everything"}, _by_names_of(_like_files), checks_name=False
    ),
    "addresses as text": Mutant({"address_as_name"}, _by_names_of(_all_names), checks_name=False),
    "so many names": Mutant({"many_names"}, _not_if_many),
    "nothing for Ed25519": Mutant({"unusual_key_ed25519"}, _nothing_to_compare(_is_ed25519)),
    "nothing for P-521": Mutant({"unusual_key_p521"}, _nothing_to_compare(_is_p521)),
    "nothing for RSA-PSS": Mutant({"unusual_key_rsa_pss"}, _nothing_to_compare(is_for_pss)),
    "not for added roots": Mutant({"added_root"}, _not_added),
    "walks by name": Mutant({"path_by_name"}, _walks_by_name),
    **{
        f"forgets about {rule}": Mutant({attack}, verifies=False, forgets=rule)
        for rule, attack in {
            "CAs": "leaf_as_ca",
            "path length": "path_length_exceeded",
            "name constraints": "name_constraints_broken",
            "usage": "certificate_for_clients",
            "critical": "unknown_critical_extension",
            "times of CAs": "expired_ca",
        }.items()
    },
    "any curve": Mutant({"explicit_curve"}, _same_point, verifies=False, forgets="curve"),
    "a pin is an anchor": Mutant(
        {"untrusted_root"}, verifies=False, forgets="", takes_pinned_ca_for_anchor=True
    ),
    "judges new connections only": Mutant(
        {"connection_kept_after_pins_changed"}, judges_kept=False
    ),
    "shares connections": Mutant({"connection_kept_for_another_host"}, shares_connections=True),
    "goes to http": Mutant({"redirect_to_http"}, goes_to_http=True),
    "goes anywhere": Mutant({"redirect_to_unlisted_host"}, goes_anywhere=True),
    "not behind an HTTP proxy": Mutant({"through_http_proxy"}, behind_proxy=frozenset({"https"})),
    "not within an HTTPS proxy": Mutant({"through_https_proxy"}, behind_proxy=frozenset({"http"})),
    "not on HTTP/2": Mutant(
        {"connection_kept_for_another_host", "rogue_ca_http2"},
        protocols=("h2", "http/1.1"),
        checks_http2=False,
    ),
    "reads ahead": Mutant(
        {"client_certificate_asked_afterwards", "client_certificate_asked_tls13"},
        versions=(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
        reads_ahead=True,
    ),
    "logs secrets": Mutant({"secrets_logged"}, logs_secrets=True),
    "no pins after STARTTLS of IMAP": Mutant({"imap_starttls"}, checks_imap=False),
    "takes TLS when offered in IMAP": Mutant(
        {"imap_starttls_stripped"}, insists_on_imap_starttls=False
    ),
    "takes PREAUTH": Mutant({"imap_preauth"}, takes_preauth=True),
    "with the dot": Mutant({"trailing_dot"}, _with_the_dot),
    "with case": Mutant({"upper_case_host"}, _with_case),
    "by server name": Mutant({"ip_literal"}, _by_server_name),
    "on TLS 1.3": Mutant(TLS_12, _on_tls_13),
    "takes devices": Mutant({"self_signed", *UNVERIFIED}, _takes_devices, verifies=False),
    "no name check": Mutant(
        {"certificate_without_names", "wrong_host_right_key", *WRONG_NAMES}, checks_name=False
    ),
    "no name is any name": Mutant(
        {"certificate_without_names"}, _no_name_is_any_name, checks_name=False
    ),
    "any name will do": Mutant(
        {"wrong_host_right_key", *WRONG_NAMES}, _any_name_will_do, checks_name=False
    ),
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
            "explicit_curve",
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
        {
            "connection_kept_after_pins_changed",
            "resumed_after_pins_changed_tls12",
            "resumed_after_pins_changed_tls13",
        },
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


@pytest.fixture
def falls(
    stage: Stage, follow: Follow, verifier: Callable[[str], BuildPath], tmp_path: Path
) -> Callable[[Mutant, Attack], bool]:
    """Return what tells whether a client with a broken check falls to an attack."""

    def falls(mutant: Mutant, attack: Attack) -> bool:
        build = None if mutant.forgets is None else verifier(mutant.forgets)
        found = tmp_path / attack.id
        found.mkdir()
        return _falls(stage, mutant, attack, follow, build, found)

    return falls


@pytest.mark.parametrize("name", MUTANTS)
def test_each_broken_check_falls(name: str, falls: Callable[[Mutant, Attack], bool]) -> None:
    """A check falls to the attacks on what is broken in it, and not to the plainest one."""
    mutant = MUTANTS[name]
    named = [one for one in ATTACKS if one.id in mutant.falls_to | {"rogue_ca"}]

    assert mutant.falls_to == {attack.id for attack in named if falls(mutant, attack)}


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", MUTANTS)
def test_each_broken_check_falls_to_no_other(
    name: str, falls: Callable[[Mutant, Attack], bool]
) -> None:
    """Whatever a check does not fall to it stops, broken as it is."""
    mutant = MUTANTS[name]

    assert mutant.falls_to == {attack.id for attack in ATTACKS if falls(mutant, attack)}


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
    alone |= PATCHED.keys()
    controls = {one.id for one in attacks() if "the control" in " ".join(one.description.split())}

    assert set() == {one.id for one in attacks()} - alone - controls


# Clients that pin in ways of their own, which what replaces `ssl` takes away; by the attack.
PATCHED = {
    "ssl_replaced_by_truststore": """
class Socket(ssl.SSLSocket):
    def do_handshake(self, *arguments):
        super().do_handshake(*arguments)
        checked(self)
class Context(ssl.SSLContext):
    sslsocket_class = Socket
context = Context(ssl.PROTOCOL_TLS_CLIENT)
""",
    "ssl_patched_by_gevent": """
class Socket(ssl.SSLSocket):
    @classmethod
    def _create(cls, *arguments, **options):
        return checked(super()._create(*arguments, **options))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.sslsocket_class = Socket
""",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("attack_id", PATCHED)
def test_pins_that_are_patched_away(attack_id: str) -> None:
    """A way of pinning falls to what is patched around it, and not without that."""
    source = (
        "import base64, hashlib, os, socket, ssl, sys\n"
        "def checked(tls):\n"
        "    digest = base64.b64encode(hashlib.sha256(tls.getpeercert(True)).digest()).decode()\n"
        "    if f'cert-sha256/{digest}' != os.environ['HOLDFAST_LAB_CERT_PIN']:\n"
        "        tls.close()\n"
        "        sys.exit('wrong key')\n"
        "    return tls\n"
        f"{PATCHED[attack_id]}\n"
        "context.load_verify_locations(os.environ['HOLDFAST_LAB_ANCHORS'])\n"
        "with socket.create_connection(('localhost', int(sys.argv[1])), 5) as tcp:\n"
        "    with context.wrap_socket(tcp, server_hostname='localhost') as tls:\n"
        "        tls.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
        "        tls.recv(1000)\n"
    )
    tried = [one for one in attacks() if one.id in {attack_id, "rogue_ca"}]
    with Runner([sys.executable, "-c", source, "{port}"], timeout=20) as runner:
        outcomes = {one.attack.id: one.outcome for one in runner.run_all(tried)}

    assert {"rogue_ca": Outcome.CAUGHT, attack_id: Outcome.MISSED} == outcomes


def _falls(
    stage: Stage,
    mutant: Mutant,
    attack: Attack,
    follow: Follow,
    build: BuildPath | None,
    found: Path,
) -> bool:
    stage = attack.setting(stage)
    told = attack.told(stage)
    variables = attack.environment(found) if attack.environment else {}
    asked = {name: text for name, text in variables.items() if name == "SSLKEYLOGFILE"}
    with mock.patch.dict(os.environ, asked):
        client = _Client(mutant, stage, told.get("policy", attack.policy_toml(stage)), told, build)
    host = told.get("host", attack.host(stage))
    with attack.rogue(replace(stage, publish=client.publish)) as server:
        with suppress(OSError, imaplib.IMAP4.error):
            if attack.transport == "smtp":
                client.talk_smtp(server, host)
            elif attack.transport == "imap":
                client.talk_imap(server, host)
            else:
                follow(host, partial(client.connect, server, attack.proxy))
        seen = server.wait_until(lambda log: all(one.closed for one in log))
    return bool(attack.loot and attack.loot(found)) or any(
        one.application_bytes or _leaked(attack, one.received_plain) or one.client_certificate
        for one in seen
        if not one.prelude
    )


def _leaked(attack: Attack, plain: bytes) -> bool:
    """Tell whether something came outside of TLS that matters."""
    words = {"smtp": b"AUTH", "imap": b"INBOX", "https": b""}
    return bool(plain) and words[attack.transport] in plain


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
    told: dict[str, str]
    build: BuildPath | None
    sessions: dict[str, ssl.SSLSession] = field(default_factory=dict)
    judged_by: str = ""  # the policy by which the connection that is kept was judged
    kept_for: str = ""

    def __post_init__(self) -> None:
        mutant = self.mutant
        anchors = self.told.get("anchors", self.stage.anchors_pem)
        self.anchors = x509.load_pem_x509_certificates(anchors.encode("ascii"))
        self.context = ssl.create_default_context(cadata=anchors)
        if not mutant.logs_secrets:
            self.context.keylog_filename = None  # type: ignore[assignment]  # as Python allows
        self.context.check_hostname = mutant.verifies and mutant.checks_name
        self.context.verify_mode = ssl.CERT_REQUIRED if mutant.verifies else ssl.CERT_NONE
        self.context.minimum_version, self.context.maximum_version = mutant.versions
        if not mutant.renegotiates:
            self.context.options |= ssl.OP_NO_RENEGOTIATION
        if mutant.shows_certificate or mutant.reads_ahead:
            self.stage.client.load_into(self.context)
        self.context.post_handshake_auth = mutant.reads_ahead
        if mutant.protocols:
            self.context.set_alpn_protocols(mutant.protocols)
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

    def talk_imap(self, server: LabServer, host: str) -> None:
        """Go over to TLS if the server offers it, and log in."""
        client = imaplib.IMAP4(host, server.port, timeout=5)
        connection: socket.socket = client.sock
        try:
            if client.state == "AUTH":
                if not self.mutant.takes_preauth:
                    return
            elif "STARTTLS" in client.capabilities:
                client.xatom("STARTTLS")
                connection = self.context.wrap_socket(client.sock, server_hostname=host)
                if self.mutant.checks_imap and not self._accepts(connection, host):
                    return
            elif self.mutant.insists_on_imap_starttls:
                return
            connection.sendall(b"1 LOGIN user secret\r\n2 SELECT INBOX\r\n")
            connection.shutdown(socket.SHUT_WR)
        finally:
            connection.close()
            client.file.close()

    def connect(
        self,
        server: LabServer,
        proxy: str | None,
        scheme: str,
        host: str,
        kept: socket.socket | None,
    ) -> Any:  # noqa: ANN401 (a socket, or what looks like one)
        """Connect and check, or go on with what was kept; None if the check refuses."""
        chosen = None
        try:
            chosen = self._choose(server, proxy, scheme, host, kept)
        finally:
            if kept is not None and chosen is not kept:
                kept.close()
        return chosen

    def _choose(
        self,
        server: LabServer,
        proxy: str | None,
        scheme: str,
        host: str,
        kept: socket.socket | None,
    ) -> Any:  # noqa: ANN401
        if self.kept_for and not self.mutant.goes_anywhere and not self._is_listed(host):
            return None
        if kept is not None and (host == self.kept_for or self.mutant.shares_connections):
            if self.mutant.judges_kept and self.judged_by != self.policy:
                self.judged_by = self.policy
                return kept if self._accepts(kept, host) else None
            return kept
        self.judged_by, self.kept_for = self.policy, host
        if scheme == "http":
            if not self.mutant.goes_to_http:
                return None
            return socket.create_connection((server.address, server.port), timeout=5)
        return self._over_tls(server, proxy, host)

    def _over_tls(self, server: LabServer, proxy: str | None, host: str) -> Any:  # noqa: ANN401
        key = self.mutant.sessions_of(host) if self.mutant.sessions_of else None
        tcp = socket.create_connection((server.address, server.port), timeout=5)
        with tcp.dup() as spare:
            try:
                if proxy:
                    tcp = self._through(tcp, proxy, server.host)
                    if tcp is None:
                        return None
                session = None if key is None else self.sessions.get(key)
                tls: Any
                if proxy == "https":
                    tls = SSLTransport(tcp, self.context, server_hostname=host)
                else:
                    tls = self.context.wrap_socket(tcp, server_hostname=host, session=session)
            except OSError as error:
                if tcp is not None:
                    tcp.close()
                self._without_tls(error, spare, server)
                raise
        is_judged = proxy is None or proxy in self.mutant.behind_proxy
        if is_judged and not self._accepts(tls, host):
            tls.close()
            return None
        if key is not None and isinstance(tls, _KeepingSocket):
            tls.kept_in = self.sessions, key
        return tls

    def _through(self, tcp: socket.socket, proxy: str, host: str) -> Any:  # noqa: ANN401
        """Ask a proxy for a tunnel; None if the check refuses the proxy."""
        if proxy == "https":
            tcp = self.context.wrap_socket(tcp, server_hostname=host)
            if not self._accepts(tcp, host):
                tcp.close()
                return None
        tcp.sendall(b"CONNECT localhost:443 HTTP/1.1\r\n\r\n")
        assert tcp.recv(65536).startswith(b"HTTP/1.1 200")
        return tcp

    def _is_listed(self, host: str) -> bool:
        sets = tomllib.loads(self.policy)["pin_set"].values()
        return any(_canonical(host) in one["hosts"] for one in sets)

    def _accepts(self, tls: Any, host: str) -> bool:  # noqa: ANN401 (what `_over_tls` returns)
        if self.mutant.reads_first and _answers_unasked(tls):
            return True
        if self.mutant.reads_ahead:
            _answers_unasked(tls)
        tls = getattr(tls, "sslobj", tls)
        if tls.selected_alpn_protocol() == "h2" and not self.mutant.checks_http2:
            return True
        chains = tls._sslobj  # public from Python 3.13 on
        presented = _certificates(chains.get_unverified_chain())
        verified = _certificates(chains.get_verified_chain())
        resumed = bool(tls.session_reused)
        if resumed:  # there is no chain: what is known is the leaf
            verified = [x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")]
        policy = tomllib.loads(self.policy)
        seen = Seen(self.stage, policy, host, tls.version(), resumed, presented, verified)
        if self.build:
            anchors = list(self.anchors)
            if self.mutant.takes_pinned_ca_for_anchor:
                anchors += [one for one in presented[1:] if seen.pinned([one])]
            path = self.build(presented, anchors, host)
            if path is None:
                return False
            seen = replace(seen, verified=path)
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


def _answers_unasked(tls: Any) -> bool:  # noqa: ANN401
    tls.settimeout(UNASKED)
    try:
        return bool(tls.recv(1))
    except TimeoutError:
        return False
    finally:
        tls.settimeout(5)


def _certificates(chain: list[ssl._ssl.Certificate] | None) -> list[x509.Certificate]:  # type: ignore[name-defined]
    return [x509.load_pem_x509_certificate(one.public_bytes().encode()) for one in chain or []]
