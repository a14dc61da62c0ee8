import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError
from holdfast.formats.artifacts.resource_table import files_of

# Made as app.apk is, with a second configuration, and a resource `alias` that refers to it.
TWO = Path(__file__).with_name("two.apk")
FORMER, NAMED, ALIAS = 0x7F020000, 0x7F020001, 0x7F020002


def table() -> bytes:
    """Return the table of the package."""
    with zipfile.ZipFile(TWO) as package:
        return package.read("resources.arsc")


def test_what_aapt_has_written_is_read() -> None:
    """A file, and one by way of a reference; a resource that there is not has none."""
    assert ("res/xml/network_security_config.xml",) == files_of(table(), NAMED)
    assert ("res/xml/former.xml",) == files_of(table(), FORMER)
    assert ("res/xml/former.xml",) == files_of(table(), ALIAS)
    for missing in (0x7F020003, 0x7F030000, 0x01010527):
        assert () == files_of(table(), missing)


def made(flags: int, offsets: bytes, count: int, entry: bytes, *, wide: bool = False) -> bytes:
    """Return a table with one text, `res/a.xml`, and one type with one entry."""
    text = "res/a.xml"
    body = (
        struct.pack("<H", len(text)) + text.encode("utf-16-le")
        if wide
        else bytes([len(text), len(text)]) + text.encode()
    )
    pool = struct.pack("<IIIIII", 1, 0, 0 if wide else 0x100, 32, 0, 0)[:24] + b"\0" * 0 + body
    pool = struct.pack("<HHI", 1, 28, 8 + len(pool)) + pool
    kind = struct.pack("<BBHII", 2, flags, 0, count, 20 + len(offsets)) + offsets + entry
    kind = struct.pack("<HHI", 0x0201, 20, 8 + len(kind)) + kind
    package = struct.pack("<HHII", 0x0200, 12, 12 + len(kind), 0x7F) + kind
    whole = struct.pack("<I", 1) + pool + package
    return struct.pack("<HHI", 2, 12, 8 + len(whole)) + whole


ENTRY = struct.pack("<HHI", 8, 0, 0) + struct.pack("<HBBI", 8, 0, 3, 0)
COMPACT = struct.pack("<HHI", 0, 0x0308, 0)


@pytest.mark.parametrize(
    ("flags", "offsets", "count", "entry"),
    [
        (0, struct.pack("<II", 0xFFFFFFFF, 0), 2, ENTRY),
        (1, struct.pack("<HH", 1, 0), 1, ENTRY),
        (2, struct.pack("<HH", 0xFFFF, 0), 2, ENTRY),
        (0, struct.pack("<II", 0xFFFFFFFF, 0), 2, COMPACT),
    ],
    ids=["plain", "sparse", "short offsets", "compact"],
)
def test_the_other_forms_of_a_table(flags: int, offsets: bytes, count: int, entry: bytes) -> None:
    """Later versions of the platform's tools write them; texts are in UTF-8 or UTF-16."""
    for wide in (False, True):
        one = made(flags, offsets, count, entry, wide=wide)
        assert ("res/a.xml",) == files_of(one, 0x7F020001)
        assert () == files_of(one, 0x7F020000)


def test_what_has_several_values_has_no_file() -> None:
    """A style, say."""
    several = struct.pack("<HHI", 16, 1, 0) + bytes(16)

    assert () == files_of(made(0, bytes(4), 1, several), 0x7F020000)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" * 10, struct.pack("<HHI", 2, 12, 999) * 2])
def test_what_is_no_table(data: bytes) -> None:
    """It ends in an error."""
    with pytest.raises(HoldfastError, match="no table"):
        files_of(data, NAMED)


@given(st.integers(0, 819), st.integers(0, 255), st.sampled_from([FORMER, NAMED, ALIAS]))
def test_what_is_damaged_ends(place: int, byte: int, resource: int) -> None:
    """In an error, or in what it says then; never in another way."""
    damaged = bytearray(table())
    damaged[place % len(damaged)] = byte

    with suppress(HoldfastError):
        assert len(files_of(bytes(damaged), resource)) <= 1
    with suppress(HoldfastError):
        files_of(bytes(damaged[:place]), resource)
