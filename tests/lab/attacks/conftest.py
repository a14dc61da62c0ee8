"""A client that goes where it is sent, as browsers and HTTP libraries do, and one that verifies."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.x509.oid import ExtendedKeyUsageOID

from holdfast.lab.explicit_curve import ORDER, multiple, total
from holdfast.lab.key_encoding import spki_of

Connect = Callable[[str, str, socket.socket | None], socket.socket | None]
Follow = Callable[[str, Connect], bytes]
Chain = list[x509.Certificate]
BuildPath = Callable[[Chain, Sequence[x509.Certificate], str], Chain | None]

MOST_REDIRECTS = 5
LONGEST_PATH = 8
_UNCOMPRESSED = b"\x04\x41\x04"  # an OCTET STRING that holds a point of P-256 in full


@pytest.fixture(scope="session")
def follow() -> Follow:
    """Return a function that requests "/" of a host, follows, and returns the last answer.

    It asks for a connection before each request: with the scheme, the host, and the connection that
    the server has left open, if it has. None instead of a connection ends it, with no answer.
    """

    def follow(host: str, connect: Connect) -> bytes:
        scheme, path, kept, answer = "https", "/", None, b""
        for _ in range(MOST_REDIRECTS + 1):
            connection = connect(scheme, host, kept)
            if connection is None:
                return b""
            try:
                answer, fields = _ask(connection, host, path)
            except OSError:
                connection.close()
                if connection is not kept:
                    raise
                kept = None  # what was left open may be closed since, and is tried once more
                continue
            kept = connection
            if "location" not in fields or fields.get("connection") == "close":
                connection.close()
                kept = None
            if "location" not in fields:
                break
            location = urlsplit(fields["location"])
            scheme, host = location.scheme or scheme, location.hostname or host
            path = location.path
        return answer

    return follow


def _ask(connection: socket.socket, host: str, path: str) -> tuple[bytes, dict[str, str]]:
    """Return the answer to one request, and its header fields."""
    name = host.encode("idna").decode("ascii")
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    answer = connection.recv(65536)
    lines = answer.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    if "location" in fields and fields.get("connection") == "close":
        while connection.recv(65536):  # session tickets may be on their way
            pass
    return answer, fields


@pytest.fixture(scope="session")
def verifier() -> Callable[[str], BuildPath]:
    """Return what makes a path builder of somebody's own, which forgets about one of its rules.

    It is written from RFC 5280 section 6, for the certificates of the lab, and takes the first
    path from the leaf to an anchor. Nothing of the lab or of Holdfast is in it but the arithmetic
    that no library has.
    """

    def forgetful(forgets: str) -> BuildPath:
        rules = [rule for name, rule in _RULES.items() if name != forgets]

        def build(presented: Chain, anchors: Sequence[x509.Certificate], host: str) -> Chain | None:
            path = presented[:1]
            while path[-1] not in anchors:
                issuer = _issuer(path[-1], [*anchors, *presented[1:]], forgets)
                if issuer is None or len(path) == LONGEST_PATH:
                    return None
                path.append(issuer)
                if forgets == "curve" and issuer.issuer == issuer.subject:
                    break  # it looks like one that is known: by name and point
            return path if all(rule(path, host) for rule in rules) else None

        return build

    return forgetful


def _issuer(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate], forgets: str
) -> x509.Certificate | None:
    for candidate in candidates:
        if candidate.subject == certificate.issuer and candidate != certificate:
            if forgets == "curve" and _signed_on_any_curve(certificate, candidate):
                return candidate
            with suppress(ValueError, InvalidSignature, UnsupportedAlgorithm):
                certificate.verify_directly_issued_by(candidate)
                return candidate
    return None


def _signed_on_any_curve(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Check an ECDSA signature with the base point that stands in the issuer's certificate."""
    spki = spki_of(issuer)
    if _UNCOMPRESSED not in spki:  # a curve that is named
        return False
    base = _point(spki.partition(_UNCOMPRESSED)[2])
    public = _point(spki[-64:])
    r, s = decode_dss_signature(certificate.signature)
    digest = Hash(SHA256())
    digest.update(certificate.tbs_certificate_bytes)
    inverse = pow(s, -1, ORDER)
    sum_of_both = total(
        multiple(int.from_bytes(digest.finalize()) * inverse % ORDER, base),
        multiple(r * inverse % ORDER, public),
    )
    return sum_of_both is not None and sum_of_both[0] % ORDER == r


def _point(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:32]), int.from_bytes(data[32:64])


def _times(certificates: Chain) -> bool:
    now = datetime.now(UTC)
    return all(one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in certificates)


def _times_of_cas(path: Chain, _host: str) -> bool:
    return _times(path[1:])


def _times_of_leaf(path: Chain, _host: str) -> bool:
    return _times(path[:1])


def _are_cas(path: Chain, _host: str) -> bool:
    return all(_constraints(one).ca for one in path[1:])


def _path_length(path: Chain, _host: str) -> bool:
    limits = [(_constraints(one).path_length, below) for below, one in enumerate(path[1:])]
    return all(limit is None or below <= limit for limit, below in limits)


def _name_constraints(path: Chain, host: str) -> bool:
    for one in path[1:]:
        with suppress(x509.ExtensionNotFound):
            value = one.extensions.get_extension_for_class(x509.NameConstraints).value
            permitted = [name.value for name in value.permitted_subtrees or []]
            if not any(f".{host}".endswith(f".{name}") for name in permitted):
                return False
    return True


def _usage(path: Chain, _host: str) -> bool:
    value = path[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return ExtendedKeyUsageOID.SERVER_AUTH in value


def _critical(path: Chain, _host: str) -> bool:
    return all(
        not isinstance(extension.value, x509.UnrecognizedExtension)
        for one in path
        for extension in one.extensions
        if extension.critical
    )


def _name(path: Chain, host: str) -> bool:
    with suppress(x509.ExtensionNotFound):
        value = path[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        try:
            address = ip_address(host)
        except ValueError:
            return host.lower().removesuffix(".") in value.get_values_for_type(x509.DNSName)
        return address in value.get_values_for_type(x509.IPAddress)
    return False


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value


_RULES: dict[str, Callable[[Chain, str], bool]] = {
    "times of CAs": _times_of_cas,
    "times of the leaf": _times_of_leaf,
    "CAs": _are_cas,
    "path length": _path_length,
    "name constraints": _name_constraints,
    "usage": _usage,
    "critical": _critical,
    "name": _name,
}
