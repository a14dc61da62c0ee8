from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.der import enter, skip
from holdfast.errors import CertificateError


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24])
def test_every_length_in_its_shortest_form_is_read(size: int) -> None:
    """Content begins after the header and ends where the length says, at each width of it."""
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = bytes([size]) if size < 128 else bytes([0x80 + len(octets)]) + octets
    der = b"\x30" + length + bytes(size)
    assert (len(der) - size, len(der)) == enter(der, 0, 0x30, len(der))
    assert len(der) == skip(der, 0, b"\x30", len(der))


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("3080", "indefinite"),
        ("308100", "shortest"),
        ("30817f", "shortest"),
        ("308200ff", "shortest"),
        ("3083000100", "shortest"),
        ("308400010000", "shortest"),
        ("30850001000000", "5 octets"),
        ("30ff", "127 octets"),
        ("3181", "tag 0x31"),
        ("3f1000", "tag 0x3f"),
        ("1000", "tag 0x10"),
        ("", "end within a header"),
        ("30", "end within a header"),
        ("3081", "end within a header"),
        ("3082ff", "end within a header"),
        ("30840100", "end within a header"),
    ],
)
def test_other_encodings_are_refused(header: str, complaint: str) -> None:
    """What BER allows, and what ends too early, is refused by both functions, saying why."""
    content = bytes(300) if complaint != "end within a header" else b""
    der = bytes.fromhex(header) + content
    with pytest.raises(CertificateError, match=complaint):
        enter(der, 0, 0x30, len(der))
    with pytest.raises(CertificateError, match=complaint):
        skip(der, 0, b"\x30", len(der))


def test_an_element_may_not_reach_past_the_one_around_it() -> None:
    """The limit counts, not the end of the input."""
    der = bytes.fromhex("0403010203") + bytes(10)
    assert (2, 5) == enter(der, 0, 0x04, 5)
    with pytest.raises(CertificateError, match="reaches past"):
        enter(der, 0, 0x04, 4)
    with pytest.raises(CertificateError, match="reaches past"):
        skip(der, 0, b"\x04", 4)


def test_an_error_says_where_and_what_to_do() -> None:
    """The message has the position of the element, and a hint."""
    with pytest.raises(CertificateError, match=r"0x02 where 0x30 belongs \(at byte 3\)") as caught:
        skip(bytes.fromhex("020105020106"), 0, b"\x02\x30", 6)
    assert caught.value.hint is not None


@given(der=st.binary(max_size=40), at=st.integers(0, 45), tags=st.binary(max_size=4))
def test_any_input_gives_a_position_within_the_limit_or_a_refusal(
    der: bytes, at: int, tags: bytes
) -> None:
    """No other exception, and no position outside."""
    try:
        end = skip(der, at, tags, len(der))
    except CertificateError:
        return
    assert at + 2 * len(tags) <= end <= len(der)


@given(parts=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), max_size=5))
def test_skipping_is_entering_each_in_turn(parts: list[tuple[int, bytes]]) -> None:
    """Both functions agree on where consecutive elements end."""
    der = b"".join(
        bytes([tag]) + (b"\x81" if len(body) > 127 else b"") + bytes([len(body)]) + body
        for tag, body in parts
    )
    at = 0
    for tag, body in parts:
        start, at = enter(der, at, tag, len(der))
        assert body == der[start:at]
    assert len(der) == at == skip(der, 0, bytes(tag for tag, _ in parts), len(der))
