import sys

import pytest

from holdfast.errors import HoldfastError
from holdfast.formats.registry import NAMES, format_named, format_of


@pytest.mark.parametrize("name", NAMES)
def test_each_format_knows_its_name(name: str) -> None:
    """And describes how its platform understands it."""
    found = format_named(name)

    assert name == found.name
    assert found.semantics.title


def test_a_file_is_recognized_by_what_is_in_it() -> None:
    """What nobody recognizes has to be named."""
    assert "android" == format_of("res/x.xml", b"<network-security-config/>").name
    with pytest.raises(HoldfastError, match="--from"):
        format_of("notes.txt", b"hello")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format that there is not, or the library of one."""
    with pytest.raises(HoldfastError, match="android"):
        format_named("windows")
    monkeypatch.delitem(sys.modules, "holdfast.formats.android", raising=False)
    monkeypatch.delitem(sys.modules, "holdfast.formats.xml_text", raising=False)
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(HoldfastError, match=r"holdfast\[platforms\]"):
        format_named("android")
