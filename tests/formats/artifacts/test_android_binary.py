import sys
import zipfile
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.formats.android import FORMAT
from holdfast.formats.artifacts.android_binary import as_xml, is_binary_xml

# Made by `aapt package -M AndroidManifest.xml -S res -I framework-res.apk -F app.apk` (of Debian's
# packages aapt and android-framework-res) of what `holdfast export android` writes for the first
# two sets of tests/formats/test_round_trip.py, and of a manifest whose <application> names that.
APK = Path(__file__).with_name("app.apk")


def binary() -> bytes:
    """Return the configuration in the package."""
    with zipfile.ZipFile(APK) as package:
        return package.read("res/xml/network_security_config.xml")


def test_what_aapt_has_written_is_read() -> None:
    """With domains, pins and expiry."""
    assert is_binary_xml(binary())
    rules = FORMAT.read(as_xml(binary())).rules

    assert ["api.example.com", "pay.example.com", "shop.example.com"] == [
        host.host for rule in rules for host in rule.hosts
    ]
    assert "2027-07-01" == str(rules[0].expires)


@pytest.mark.parametrize("cut", [8, 60, 500, 1800])
def test_what_is_damaged(cut: int) -> None:
    """It ends in an error, whatever the library makes of it."""
    with pytest.raises(HoldfastError, match="no binary XML"):
        FORMAT.read(as_xml(binary()[:cut]))


def test_limits_and_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are said."""
    with pytest.raises(HoldfastError, match="more than"):
        as_xml(b"\x03\x00\x08\x00" + bytes(5 * 1024 * 1024))
    monkeypatch.setitem(sys.modules, "axml.axml", None)
    with pytest.raises(HoldfastError, match=r"holdfast\[platforms\]"):
        as_xml(binary())
