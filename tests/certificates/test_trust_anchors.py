from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import certifi
import pytest

from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.trust_anchors import is_public_root, load_anchors, public_root_spki
from holdfast.errors import TrustStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Make the roots be read again, before the test and after it."""
    public_root_spki.cache_clear()
    yield
    public_root_spki.cache_clear()


def test_a_bundle_gives_its_anchors_in_order(
    tmp_path: Path, make_certificate: Callable[..., bytes], to_pem: Callable[..., str]
) -> None:
    """PEM with several, and DER with one, are read."""
    anchors = tuple(make_certificate(number=number) for number in (2, 4))
    path = tmp_path / "ca.pem"
    path.write_text("".join(map(to_pem, anchors)))
    assert anchors == load_anchors(path)
    path.write_bytes(anchors[0])
    assert anchors[:1] == load_anchors(str(path))


def test_the_bundle_of_certifi_is_read() -> None:
    """A real bundle with comments in it gives every certificate."""
    text = certifi.contents()
    assert text.count("BEGIN CERTIFICATE") == len(load_anchors(certifi.where())) > 100


@pytest.mark.parametrize("content", [b"", b"\n", b"# no anchors yet\n"])
def test_an_empty_bundle_is_an_error_that_names_the_fix(tmp_path: Path, content: bytes) -> None:
    """No anchors must never mean "trust nothing" or "trust anything" without a word."""
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(TrustStoreError, match="no trust anchors") as caught:
        load_anchors(path)
    assert str(path) in caught.value.message
    assert caught.value.hint is not None


def test_a_missing_bundle_is_an_error(tmp_path: Path) -> None:
    """The path and the reason are told."""
    with pytest.raises(TrustStoreError, match=r"missing\.pem' cannot be read: No such file"):
        load_anchors(tmp_path / "missing.pem")


def test_public_roots_are_known_by_their_key(make_certificate: Callable[..., bytes]) -> None:
    """Every root of certifi is one, a certificate of our own is not."""
    roots = {chain_certificate(der).spki_sha256 for der in pem_certificates(certifi.contents(), "")}
    assert roots == public_root_spki()
    assert {True} == {is_public_root(root) for root in roots}
    assert is_public_root(chain_certificate(make_certificate()).spki_sha256) is False
    assert is_public_root(sha256(b"").digest()) is False


@pytest.mark.usefixtures("forgotten")
def test_without_certifi_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is None, neither yes nor no, and asking for the roots says what to install."""
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert is_public_root(bytes(32)) is None
    with pytest.raises(TrustStoreError, match="certifi is not installed") as caught:
        public_root_spki()
    assert "pip install" in str(caught.value.hint)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n"])
def test_with_an_unusable_certifi_nobody_can_tell(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """An empty or damaged bundle does not make every root a private one."""
    monkeypatch.setattr(certifi, "contents", lambda: text)
    assert is_public_root(bytes(32)) is None
