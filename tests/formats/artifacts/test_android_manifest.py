import zipfile

import pytest

from holdfast.errors import HoldfastError
from holdfast.formats.artifacts.android_manifest import configurations_in_force
from tests.formats.artifacts.test_resource_table import TWO

PINS, FORMER = "res/xml/network_security_config.xml", "res/xml/former.xml"


def manifest(*, resource: int = 1, attribute: int = 0x27) -> bytes:
    """Return the manifest of the package, naming another resource or in another attribute."""
    with zipfile.ZipFile(TWO) as package:
        data = package.read("AndroidManifest.xml")
    assert 1 == data.count(b"\x27\x05\x01\x01") == data.count(b"\x01\x00\x02\x7f")
    data = data.replace(b"\x01\x00\x02\x7f", bytes([resource, 0, 2, 0x7F]))
    return data.replace(b"\x27\x05\x01\x01", bytes([attribute, 5, 1, 1]))


def table() -> bytes:
    """Return its table of resources."""
    with zipfile.ZipFile(TWO) as package:
        return package.read("resources.arsc")


def test_the_manifest_decides() -> None:
    """By the number of the attribute, and of the resource; an alias is followed."""
    assert (PINS,) == configurations_in_force(manifest(), table())
    assert (FORMER,) == configurations_in_force(manifest(resource=0), table())
    assert (FORMER,) == configurations_in_force(manifest(resource=2), table())
    assert () == configurations_in_force(manifest(attribute=0x28), table())


def test_a_manifest_in_text_decides_nothing() -> None:
    """It is that of a library, or of sources."""
    assert None is configurations_in_force(b"<manifest/>", None)


def test_what_cannot_be_found_out_is_said() -> None:
    """A table that is not there or does not have it, and a manifest that is damaged."""
    for content, told in (
        (None, "does not have"),
        (table(), "does not have"),
        (b"x" * 100, "no table"),
    ):
        with pytest.raises(HoldfastError, match=told):
            configurations_in_force(manifest(resource=9), content)
    with pytest.raises(HoldfastError, match="no binary XML"):
        configurations_in_force(manifest()[:100], table())
