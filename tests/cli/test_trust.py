from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.certificates.spki import chain_certificate
from holdfast.cli.trust import (
    ends_as_expected,
    given_anchors,
    named_public_roots,
    public_context,
    public_roots,
)
from holdfast.errors import TrustStoreError
from holdfast.lab.authorities import Authority
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.evaluate import evaluate, without_path
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy, Unlisted


def test_public_roots_are_those_of_browsers() -> None:
    """The roots come from certifi: more than a hundred, each once."""
    roots = public_roots()

    assert len(roots) > 100
    assert len(set(roots)) == len(roots)


def test_public_roots_have_names() -> None:
    """By the pins of their keys, which several roots may share, and of themselves."""
    roots = named_public_roots()
    x1 = roots[Pin.parse("sha256/C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M=")]

    assert "Internet Security Research Group" == x1.organization
    assert "CN=ISRG Root X1" in x1.name
    assert len(public_roots()) == sum(pin.is_certificate for pin in roots)


def test_given_anchors_stand_alone(tmp_path: Path) -> None:
    """With `--anchors` nothing else is trusted; without, at least every public root is."""
    file = tmp_path / "ca.pem"
    file.write_text(Authority.new("root").pem)
    anchors = given_anchors(file)

    assert anchors is not None
    assert list(anchors) == public_context(anchors).get_ca_certs(binary_form=True)
    assert set(public_roots()) <= set(public_context(None).get_ca_certs(binary_form=True))


def test_named_anchor_is_expected() -> None:
    """A path may end in an anchor that was named; without a path it cannot be told."""
    root = Authority.new("root")
    ders = (root.issue("a.example").der, root.certificate.public_bytes(Encoding.DER))
    policy = Policy(unlisted=Unlisted.ALLOW)
    chain = VerifiedChain(tuple(map(chain_certificate, ders)))
    verdict = evaluate(policy, "a.example", chain, datetime.now(UTC))

    assert ends_as_expected(verdict, (ders[1],)) is True
    assert ends_as_expected(verdict, None) is False
    assert ends_as_expected(without_path(policy, "a.example", "none"), None) is None


def test_no_anchors_were_given() -> None:
    """Without the option there is nothing to read."""
    assert given_anchors(None) is None


def test_file_without_certificates_is_refused(tmp_path: Path) -> None:
    """A file that holds no certificate is an error, never an empty trust store."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing here")

    with pytest.raises(TrustStoreError, match="no certificate in it"):
        given_anchors(file)
