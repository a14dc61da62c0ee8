"""A strict reader of DER (X.690 sections 8.1, 10.1), only to find where an element ends.

It decodes no values, and refuses every encoding that two readers could take differently:
indefinite lengths, lengths not in their shortest form, tags of more than one octet (each caller
says which one-octet tag it expects), and elements that reach past the one around them. A reader
that forgives here can find another key than the TLS library did (CVE-2026-87866).

Every handshake runs this for every certificate of the path, hence the flat code.
"""

from __future__ import annotations

from holdfast.errors import CertificateError

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30

# Enough for 4 GiB, as in OpenSSL and webpki; longer ones only serve to overflow somebody's
# arithmetic.
MAX_LENGTH_OCTETS = 4


def enter(der: bytes, at: int, tag: int, limit: int) -> tuple[int, int]:
    """Read the header of one element.

    Args:
        der: The whole input.
        at: Where the element begins.
        tag: The identifier octet that it must have.
        limit: Where the element around it ends.

    Returns:
        Where its content begins, and where it ends.

    Raises:
        CertificateError: It is not strict DER, has another tag or reaches past `limit`.
    """
    try:
        if der[at] != tag:
            raise _wrong_tag(der, at, tag)
        length = der[at + 1]
        if length < 0x80:
            start = at + 2
        elif length == 0x82 and der[at + 2]:
            # Two octets, the first of them not zero: shortest, and what most long elements have.
            start, length = at + 4, der[at + 2] << 8 | der[at + 3]
        else:
            start, length = _long_length(der, at)
    except IndexError:
        raise malformed(at, "the data end within a header") from None
    end = start + length
    if end > limit:
        raise malformed(at, "an element that reaches past the one around it")
    return start, end


def skip(der: bytes, at: int, tags: bytes, limit: int) -> int:
    """Step over consecutive elements that have these tags, in this order.

    Args:
        der: The whole input.
        at: Where the first of them begins.
        tags: The identifier octets that they must have.
        limit: Where the element around them ends.

    Returns:
        Where the last of them ends.

    Raises:
        CertificateError: As `enter`.
    """
    try:
        for tag in tags:
            if der[at] != tag:
                raise _wrong_tag(der, at, tag)
            length = der[at + 1]
            if length < 0x80:
                at += 2 + length
            elif length == 0x82 and der[at + 2]:
                at += 4 + (der[at + 2] << 8 | der[at + 3])
            else:
                start, length = _long_length(der, at)
                at = start + length
    except IndexError:
        raise malformed(at, "the data end within a header") from None
    # Once is enough: `at` only grows, so it cannot come back from beyond the limit.
    if at > limit:
        raise malformed(at, "an element that reaches past the one around it")
    return at


def _long_length(der: bytes, at: int) -> tuple[int, int]:
    """Read a length of more than one octet; return where the content begins, and the length."""
    count = der[at + 1] - 0x80
    start = at + 2 + count
    if not 1 <= count <= MAX_LENGTH_OCTETS:
        raise malformed(at, "an indefinite length" if count == 0 else f"a length of {count} octets")
    if start > len(der):
        raise malformed(at, "the data end within a header")
    length = int.from_bytes(der[at + 2 : start], "big")
    if length < 0x80 or length >> (8 * (count - 1)) == 0:
        raise malformed(at, "a length that is not in its shortest form")
    return start, length


def _wrong_tag(der: bytes, at: int, tag: int) -> CertificateError:
    return malformed(at, f"tag 0x{der[at]:02x} where 0x{tag:02x} belongs")


def malformed(at: int, what: str) -> CertificateError:
    """Make the error for a flaw in the element that begins at `at`."""
    return CertificateError(
        f"not strict DER: {what} (at byte {at})",
        hint="ask whoever issued it for the file again: it has to be DER throughout (RFC 5280)",
    )
