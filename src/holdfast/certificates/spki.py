"""The SubjectPublicKeyInfo of a certificate or request, as the bytes that stand in it.

A pin is over those bytes. Taking them from a parsed key would encode the key again, which changes
RSA-PSS keys and EC keys with explicit parameters. The key itself is never looked into, so a key of
an unknown type has a digest like any other.

What is required beyond the way to the key (RFC 5280 section 4.1, RFC 2986 section 4.1) has one
purpose: that no other reader can take other bytes for the key. Every element on the way has the tag
that belongs there and ends within the one around it, and nothing is left over: not after the
certificate, not in its signed part, not in the key.
"""

from __future__ import annotations

from hashlib import sha256

from holdfast.certificates.der import (
    BIT_STRING,
    INTEGER,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    enter,
    malformed,
    skip,
)
from holdfast.pins.chain import ChainCertificate

# What stands before the key, after the version: serialNumber, signature, issuer, validity, subject.
_BEFORE_KEY = bytes([INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE])
# And in a request: version, subject.
_BEFORE_REQUESTED_KEY = bytes([INTEGER, SEQUENCE])
# What may follow it: issuerUniqueID [1], subjectUniqueID [2], extensions [3]; in a request the
# attributes [0].
_AFTER_KEY = b"\x81\x82\xa3"
_AFTER_REQUESTED_KEY = b"\xa0"
# What follows the signed part: signatureAlgorithm, signature.
_SIGNATURE = bytes([SEQUENCE, BIT_STRING])
# The algorithms of nearly all keys, header included: comparing is faster than reading.
_COMMON_ALGORITHMS = (
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),  # id-ecPublicKey, P-256 (RFC 5480)
    bytes.fromhex("300d06092a864886f70d0101010500"),  # rsaEncryption, NULL (RFC 3279)
    bytes.fromhex("301006072a8648ce3d020106052b81040022"),  # id-ecPublicKey, P-384
)

# The types of parameters that keys have. OpenSSL shows these as they stand; others, such as a BIT
# STRING or a string in pieces, it would write anew in its own way when it shows the key.
_PARAMETERS = bytes([NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE])

# [0] EXPLICIT INTEGER of one octet. v1 should be left out but is written by some; a version that
# nobody knows could have its key elsewhere.
_VERSIONS = (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", b"\xa0\x03\x02\x01\x00")


def spki_of(der: bytes) -> bytes:
    """Slice the SubjectPublicKeyInfo out of a certificate.

    Args:
        der: One certificate, and nothing after it.

    Returns:
        The bytes of the key's element, header included.

    Raises:
        CertificateError: The input is not a certificate in strict DER.
    """
    return _slice(der, _VERSIONS, _BEFORE_KEY, _AFTER_KEY)


def spki_of_request(der: bytes) -> bytes:
    """Slice the SubjectPublicKeyInfo out of a certification request (PKCS #10, RFC 2986).

    Args:
        der: One request, and nothing after it.

    Returns:
        The bytes of the key's element, header included.

    Raises:
        CertificateError: The input is not a certification request in strict DER.
    """
    return _slice(der, (), _BEFORE_REQUESTED_KEY, _AFTER_REQUESTED_KEY)


def bare_spki(der: bytes) -> bytes:
    """Return the input after checking that it is a SubjectPublicKeyInfo and nothing else.

    Raises:
        CertificateError: It is not.
    """
    if _end_of_key(der, 0, len(der)) != len(der):
        raise malformed(0, "data after the public key")
    return der


def chain_certificate(der: bytes) -> ChainCertificate:
    """Compute both digests of a certificate.

    Raises:
        CertificateError: The input is not a certificate in strict DER.
    """
    return ChainCertificate(der, sha256(spki_of(der)).digest(), sha256(der).digest())


def _slice(der: bytes, versions: tuple[bytes, ...], before: bytes, after: bytes) -> bytes:
    """Slice the key out of the signed part, which begins with a version, or with none of them."""
    size = len(der)
    at, end = enter(der, 0, SEQUENCE, size)
    at, limit = enter(der, at, SEQUENCE, end)
    if skip(der, limit, _SIGNATURE, end) != size:
        raise malformed(0, "data after the signature")
    if der.startswith(versions, at):
        at += len(versions[0])
    at = skip(der, at, before, limit)
    end = _end_of_key(der, at, limit)
    # Nearly always just the last of them follows.
    if end != limit and (der[end] != after[-1] or enter(der, end, after[-1], limit)[1] != limit):
        _check_after_key(der, end, after, limit)
    return der[at:end]


def _end_of_key(der: bytes, at: int, limit: int) -> int:
    """Check the SubjectPublicKeyInfo that begins at `at`; return where it ends."""
    start, end = enter(der, at, SEQUENCE, limit)
    if der.startswith(_COMMON_ALGORITHMS, start):
        bits = start + 2 + der[start + 1]
    else:
        bits = _skip_algorithm(der, start, end)
    start, bits_end = enter(der, bits, BIT_STRING, end)
    # Every known key is whole octets. OpenSSL would clear unused bits that are set, and so show
    # other bytes.
    if bits_end != end or start == end or der[start] != 0:
        raise malformed(at, "a public key that is not an algorithm and a string of whole octets")
    return end


def _skip_algorithm(der: bytes, at: int, limit: int) -> int:
    """Step over an AlgorithmIdentifier: its OID, and at most one element of parameters."""
    start, end = enter(der, at, SEQUENCE, limit)
    _, parameters = enter(der, start, OBJECT_IDENTIFIER, end)
    if parameters == end:
        return end
    tag = der[parameters]
    if tag not in _PARAMETERS or enter(der, parameters, tag, end)[1] != end:
        raise malformed(parameters, "algorithm parameters that no known type of key has")
    return end


def _check_after_key(der: bytes, at: int, tags: bytes, limit: int) -> None:
    """Require that these elements fill the rest, in this order, each once at most."""
    for tag in tags:
        if der[at] == tag:
            _, at = enter(der, at, tag, limit)
            if at == limit:
                return
    raise malformed(at, "an element that does not belong after the public key")
