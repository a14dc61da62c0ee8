from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.pem import certificate_text, is_inline_certificate, pem_blocks
from holdfast.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN, END = "-----BEGIN X-----\n", "-----END X-----\n"


def test_text_outside_blocks_is_passed_over(to_pem: Callable[..., str]) -> None:
    """Comments in any encoding around the blocks, and a missing last line end, do not matter."""
    first, second = to_pem(b"one", "A"), to_pem(b"two", "B C")
    text = b"# caf\xe9 \x85 \xff\n" + first.encode() + b"\nbetween\n" + second.rstrip().encode()
    blocks = pem_blocks(text, "f.pem")
    assert [("A", b"one", "f.pem, line 2"), ("B C", b"two", "f.pem, line 7")] == [
        (block.label, block.der(), block.place) for block in blocks
    ]


def test_text_without_blocks_has_none() -> None:
    """Nothing to find is no error here; whoever needs a block says so."""
    assert () == pem_blocks("just text\n", "f.pem") == pem_blocks(b"", "f.pem")


@given(der=st.binary(min_size=1, max_size=300), width=st.integers(1, 400), end=st.booleans())
def test_line_length_and_line_ends_do_not_matter(der: bytes, width: int, end: bool) -> None:
    """The content comes back whatever the width of the lines, with CRLF and blanks at line ends."""
    body = base64.b64encode(der).decode()
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    text = (" \t\r\n" if end else "\n").join(["-----BEGIN X-----", *lines, "-----END X-----", ""])
    assert [der] == [block.der() for block in pem_blocks(text, "f.pem")]


def test_a_block_can_be_written_again(to_pem: Callable[..., str]) -> None:
    """`text()` gives the block back, headers included, and nothing that stood around it."""
    text = f"{BEGIN}Proc-Type: 4,ENCRYPTED\n\nAAAA\n{END}"
    (block,) = pem_blocks(f"before\n{text}after\n", "f.pem")
    assert text == block.text()
    (other,) = pem_blocks(to_pem(bytes(200), "X"), "f.pem")
    assert to_pem(bytes(200), "X") == other.text()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{BEGIN}AAAA\n", 1),
        (f"\n\n{BEGIN}AAAA\n", 3),
        (END, 1),
        (f"{BEGIN}AAAA\n{BEGIN}AAAA\n{END}", 3),
        (f"{BEGIN}AAAA\n-----END Y-----\n", 3),
        (f"  {BEGIN}AAAA\n  {END}", 1),
        (f"\ufeff{BEGIN}AAAA\n{END}", 1),
        (f"-----BEGIN X----\nAAAA\n{END}", 1),
        (f"-----BEGIN X-\nAAAA\n{END}", 1),
        (f"-----BEGIN -----\nAAAA\n{END}", 1),
        (f"-----BEGIN-----\nAAAA\n{END}", 1),
        (f"{BEGIN}AAAA\n  -----END X-----\n", 3),
        (f"{BEGIN}AAAA{END}", 2),
        ("-----BEGIN X-----\rAAAA\r-----END X-----\r", 1),
    ],
)
def test_what_only_looks_like_a_block_is_refused(text: str, line: int) -> None:
    """A damaged boundary would lose a certificate, so it is an error that names the line."""
    with pytest.raises(CertificateError, match=rf"^f\.pem, line {line}: ") as caught:
        pem_blocks(text, "f.pem")
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "AAA",
        "AAAB====",
        "AB==",  # the unused bits of B are set
        "AAE=AAAA",
        "A A A A",
        "AAAA\n\n!",
        "AA-_",
        "Header: x\nAAAA",
        "AAAé",
    ],
)
def test_only_canonical_base64_is_decoded(body: str) -> None:
    """What another decoder could read differently is refused, naming the block's line."""
    (block,) = pem_blocks(f"{BEGIN}{body}\n{END}", "f.pem")
    with pytest.raises(CertificateError, match=r"f\.pem, line 1: the X block is not canonical"):
        block.der()


@given(der=st.binary(min_size=1, max_size=300))
def test_a_certificate_becomes_pem_text(der: bytes) -> None:
    """The text has one block, lines of at most 64 characters (RFC 7468), and the same bytes."""
    text = certificate_text(der)

    assert [("CERTIFICATE", der)] == [(one.label, one.der()) for one in pem_blocks(text, "f.pem")]
    assert max(map(len, text.splitlines())) <= 64
    assert is_inline_certificate(text)


@pytest.mark.parametrize("text", ["ca.pem", "", "-----BEGIN PUBLIC KEY-----\n", "x -----BEGIN"])
def test_a_path_is_no_inline_certificate(text: str) -> None:
    """Only what begins with a certificate's boundary counts as one."""
    assert not is_inline_certificate(text)
