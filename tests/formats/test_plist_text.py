import plistlib

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.plist_text import parse, serialize


def test_the_form_of_a_file_stays() -> None:
    """Binary or XML; the bytes, where it says the same."""
    for form in (plistlib.FMT_BINARY, plistlib.FMT_XML):
        data = plistlib.dumps({"a": 1}, fmt=form)
        assert data == serialize({"a": 1}, data, {"a": 1})
        assert data[:6] == serialize({"a": 2}, data, {"a": 1})[:6]
    assert b"<?xml" == serialize({"a": 1}, None, {})[:5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<plist><array/></plist>", "no dictionary"),
        (b"bplist00" + b"\x00" * 40, "no property list"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><plist><string>&a;</string></plist>", "no property list"),
        (b"<plist><dict><key>a</key></dict></plist>", "no property list"),
        (b"x" * (17 * 1024 * 1024), "more than"),
    ],
)
def test_what_is_none(data: bytes, message: str) -> None:
    """It ends in an error."""
    with pytest.raises(PolicyError, match=message):
        parse(data)
