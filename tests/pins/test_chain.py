from __future__ import annotations

import pytest

from holdfast.pins.chain import ChainCertificate, PresentedChain, VerifiedChain


def test_a_verified_path_is_never_empty() -> None:
    """OpenSSL hands out an empty path under CERT_NONE and on resumption; it cannot become one."""
    with pytest.raises(ValueError, match="at least one certificate"):
        VerifiedChain(())


def test_what_was_sent_never_equals_what_was_verified() -> None:
    """The same certificates, presented and verified, are two different things."""
    certificate = ChainCertificate(b"der", b"spki", b"cert")

    chains: list[object] = [VerifiedChain((certificate,)), PresentedChain((certificate,))]

    assert chains[0] != chains[1]
