from types import SimpleNamespace

import pytest

from holdfast.enforcement.sealed_object import HARMLESS, SealedObject
from holdfast.errors import PinnedContextError


@pytest.fixture
def asked() -> list[str]:
    """What the gate was asked for."""
    return []


@pytest.fixture
def sealed(asked: list[str]) -> SealedObject:
    """A sealed stand-in for OpenSSL's object."""
    inner = SimpleNamespace(version=lambda: "TLSv1.3", read=lambda: b"data", brand_new=lambda: 1)
    return SealedObject(inner, lambda: asked.append("asked"))


def test_facts_are_harmless(sealed: SealedObject, asked: list[str]) -> None:
    """What only tells about the handshake passes without a verdict."""
    assert "TLSv1.3" == sealed.version()
    assert [] == asked
    assert not {"read", "write", "shutdown", "sendfile"} & HARMLESS


@pytest.mark.parametrize("name", ["read", "brand_new"])
def test_everything_else_asks_first(sealed: SealedObject, asked: list[str], name: str) -> None:
    """Data, and methods that nobody knows yet, meet the gate before they are even looked up."""
    getattr(sealed, name)

    assert ["asked"] == asked


def test_the_context_cannot_be_replaced(sealed: SealedObject) -> None:
    """Another context would be another trust store; other attributes are OpenSSL's business."""
    with pytest.raises(PinnedContextError, match="cannot be replaced"):
        sealed.context = object()
    sealed.owner = "me"

    assert "me" == sealed._object.owner
