"""A CA whose public key is that of another, on a curve that was made to fit (CVE-2020-0601).

With explicit parameters (RFC 3279 section 2.3.5) whoever writes a certificate chooses the base
point too. For any public key Q and any number d there is a base point, Q / d, for which d is the
private key of Q. The curve is P-256 but for that; its numbers are those of FIPS 186-4, D.1.2.3.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from holdfast.lab.key_encoding import bit_string, sequence

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

__all__ = ["ORDER", "CounterfeitKey", "Point", "multiple", "total"]

Point = tuple[int, int] | None  # None is the point at infinity

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
_A = _FIELD - 3
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_BYTES = 32

_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_PRIME_FIELD = bytes.fromhex("06072a8648ce3d0101")
_INTEGER, _OCTET_STRING = 0x02, 0x04


@dataclass(frozen=True, slots=True)
class CounterfeitKey:
    """A private key for somebody else's public key.

    Attributes:
        public: The public key's point.
        base: The base point that makes it fit.
        private: The number by which `base` becomes `public`.
    """

    public: tuple[int, int]
    base: tuple[int, int]
    private: int

    @classmethod
    def of(cls, key: CertificatePublicKeyTypes) -> Self:
        """Counterfeit a key on P-256.

        Raises:
            TypeError: It is on no curve, or on another one.
        """
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise TypeError("only a key on P-256 can be counterfeited here")
        numbers = key.public_numbers()
        public = numbers.x, numbers.y
        private = secrets.randbelow(ORDER - 2) + 2
        base = multiple(pow(private, -1, ORDER), public)
        assert base is not None  # noqa: S101 (the order is prime)
        return cls(public, base, private)

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo: the point, and the curve with its base point in full."""
        parameters = sequence(
            _integer(1),
            sequence(_PRIME_FIELD, _integer(_FIELD)),
            sequence(_octets(_A.to_bytes(_BYTES)), _octets(_B.to_bytes(_BYTES))),
            _octets(_uncompressed(self.base)),
            _integer(ORDER),
            _integer(1),
        )
        return sequence(
            sequence(_EC_PUBLIC_KEY, parameters), bit_string(_uncompressed(self.public))
        )

    def sign(self, data: bytes) -> bytes:
        """Sign with ECDSA and SHA-256 (FIPS 186-4, 6.4): throw-away, and not in constant time."""
        digest = int.from_bytes(hashlib.sha256(data).digest())
        nonce = secrets.randbelow(ORDER - 1) + 1
        point = multiple(nonce, self.base)
        assert point is not None  # noqa: S101 (the order is prime)
        r = point[0] % ORDER
        s = pow(nonce, -1, ORDER) * (digest + r * self.private) % ORDER
        return encode_dss_signature(r, s)


def multiple(factor: int, point: Point) -> Point:
    """Return a point times a number."""
    result: Point = None
    for bit in f"{factor:b}":
        result = total(result, result)
        if bit == "1":
            result = total(result, point)
    return result


def total(one: Point, other: Point) -> Point:
    """Return the sum of two points."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % _FIELD == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + _A) * pow(2 * one[1], -1, _FIELD)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _FIELD)
    x = (slope**2 - one[0] - other[0]) % _FIELD
    return x, (slope * (one[0] - x) - one[1]) % _FIELD


def _uncompressed(point: tuple[int, int]) -> bytes:
    return b"\x04" + point[0].to_bytes(_BYTES) + point[1].to_bytes(_BYTES)


def _integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1)  # never negative
    return bytes([_INTEGER, len(data)]) + data


def _octets(data: bytes) -> bytes:
    return bytes([_OCTET_STRING, len(data)]) + data
