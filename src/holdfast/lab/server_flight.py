"""A TLS 1.2 server's first flight, written by hand (RFC 5246 section 7.4, RFC 8422 section 5.4).

`ssl` sends only what is in order. Attacks that show a certificate without its key, or break off,
or send what no certificate is, need no more than this: ServerHello, Certificate, ServerKeyExchange
and ServerHelloDone. It is always signed by a key that stands in none of the certificates.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.lab.server_stream import ServerStream

__all__ = ["flight_without_key", "read_client_random"]

_VERSION = b"\x03\x03"
_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = b"\x01"
_SERVER_HELLO, _CERTIFICATE, _SERVER_KEY_EXCHANGE, _DONE = 2, 11, 12, 14
_ECDHE_ECDSA_AES128_GCM = b"\xc0\x2b"
_ECDSA_P256_SHA256 = b"\x04\x03"
_NAMED_CURVE_P256 = b"\x03\x00\x17"
# RFC 5746: that the server knows about safe renegotiation; nothing is said without it.
_RENEGOTIATION_INFO = b"\xff\x01\x00\x01\x00"
_RANDOM = slice(11, 43)  # in the record: after 5 bytes of record, 4 of message, 2 of version
_RECORD_LIMIT = 2**14


async def read_client_random(stream: ServerStream) -> bytes:
    """Read the ClientHello and return its 32 random bytes.

    Raises:
        ValueError: The client sent something else, or went away.
    """
    stream.expect_records()
    hello = b""
    while len(hello) < _RANDOM.stop:
        data = await stream.read()
        hello += data
        if not data or hello[0] != _HANDSHAKE_RECORD or hello[5:6] not in {b"", _CLIENT_HELLO}:
            raise ValueError("the client sent no ClientHello")
    return hello[_RANDOM]


def flight_without_key(certificates: Iterable[bytes], client_random: bytes) -> bytes:
    """Return the records of a flight whose signature was made by a key of nobody's.

    Args:
        certificates: What to send as certificates, leaf first; any bytes.
        client_random: The random bytes of the ClientHello, which are signed too.
    """
    server_random = os.urandom(32)
    hello = (
        _VERSION
        + server_random
        + _vector(b"", 1)  # no session to resume
        + _ECDHE_ECDSA_AES128_GCM
        + b"\x00"  # no compression
        + _vector(_RENEGOTIATION_INFO, 2)
    )
    share = ec.generate_private_key(ec.SECP256R1()).public_key()
    parameters = _NAMED_CURVE_P256 + _vector(
        share.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
        1,
    )
    signature = ec.generate_private_key(ec.SECP256R1()).sign(
        client_random + server_random + parameters, ec.ECDSA(hashes.SHA256())
    )
    chain = b"".join(_vector(certificate, 3) for certificate in certificates)
    return _records(
        _message(_SERVER_HELLO, hello)
        + _message(_CERTIFICATE, _vector(chain, 3))
        + _message(_SERVER_KEY_EXCHANGE, parameters + _ECDSA_P256_SHA256 + _vector(signature, 2))
        + _message(_DONE, b"")
    )


def _vector(data: bytes, length_bytes: int) -> bytes:
    return len(data).to_bytes(length_bytes) + data


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _vector(body, 3)


def _records(messages: bytes) -> bytes:
    return b"".join(
        bytes([_HANDSHAKE_RECORD]) + _VERSION + _vector(messages[start : start + _RECORD_LIMIT], 2)
        for start in range(0, len(messages), _RECORD_LIMIT)
    )
