import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.certificates.spiffe_bundle import anchors_in, bundle_certificates
from holdfast.certificates.trust_anchors import load_anchors
from holdfast.errors import CertificateError, PolicyError
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import der

OLD, NEW = Authority.new("old root"), Authority.new("new root")


def key(authority: Authority, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a key of a bundle, as SPIRE writes it but for the parameters that nobody needs."""
    x5c = b64encode(der(authority.certificate)).decode("ascii")
    return {"use": "x509-svid", "kty": "EC", "crv": "P-256", "x5c": [x5c]} | fields


def bundle(*keys: object) -> bytes:
    """Return a bundle with these keys."""
    document = {"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300}
    return json.dumps(document).encode("ascii")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that writes a file."""

    def write(data: bytes) -> Path:
        path = tmp_path / "bundle.json"
        path.write_bytes(data)
        return path

    return write


def test_the_roots_of_a_trust_domain() -> None:
    """Each key for X.509 gives its first certificate; others are passed over, as specified."""
    data = bundle(
        key(OLD),
        {"use": "jwt-svid", "kty": "EC", "kid": "a"},
        {"use": "x509-svid", "kty": "EC"},
        key(NEW, x5c=[key(NEW)["x5c"][0], "none of our business"]),
        {"kty": "RSA"},
    )

    assert (der(OLD.certificate), der(NEW.certificate)) == bundle_certificates(data, "bundle.json")


def test_a_file_of_either_kind(file: Callable[[bytes], Path]) -> None:
    """What begins with a brace is a bundle, and PEM and DER are read as ever."""
    expected = (der(OLD.certificate),)

    assert expected == anchors_in(file(b"\n " + bundle(key(OLD))))
    assert expected == load_anchors(file(bundle(key(OLD))))
    assert expected == anchors_in(file(OLD.pem.encode("ascii")))
    assert expected == anchors_in(file(der(OLD.certificate)))


def test_a_bundle_as_the_anchors_of_a_set(file: Callable[[bytes], Path]) -> None:
    """A policy names the bundle as it names a PEM file, and tells where one is wrong."""
    path = file(bundle(key(OLD), key(NEW)))
    policy = path.parent / "pins.toml"
    policy.write_text(
        '[holdfast]\nformat = 1\nunlisted = "refuse"\n'
        '[pin_set.mesh]\nclients = ["spiffe://example.org"]\nmode = "enforce"\n'
        'trust = "private"\nanchors = ["bundle.json"]\n',
        "ascii",
    )

    assert (der(OLD.certificate), der(NEW.certificate)) == load_policy(policy).pin_sets[0].anchors

    file(bundle())
    with pytest.raises(PolicyError, match=r"pin_set.mesh.anchors\[0\]: .*no key of the bundle"):
        load_policy(policy)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "this is not JSON"),
        (b'{"keys": []', "this is not JSON"),
        (b'{"keys": "\xff"}', "not UTF-8"),
        (b'{"keys": [], "keys": []}', "keys: the key stands here twice"),
        (b"{}", "no list `keys`"),
        (b'{"keys": {}}', "no list `keys`"),
        (b'{"keys": [1]}', r"keys\[0\]: this is no key"),
        (bundle(), "no key of the bundle has the use x509-svid"),
        (bundle(key(OLD, use="X509-SVID")), "no key of the bundle"),
        (bundle(key(OLD, x5c="text")), r"keys\[0\].x5c: this takes a list"),
        (bundle(key(OLD, x5c=[1])), r"keys\[0\].x5c: this takes a list"),
        (bundle(key(NEW), key(OLD, x5c=["*"])), r"keys\[1\].x5c: not a certificate in base64"),
        (bundle(key(OLD, x5c=["MAA="])), "not a certificate in base64"),
    ],
)
def test_what_is_no_bundle(data: bytes, message: str) -> None:
    """A bundle that cannot be read whole is refused, with its place and the fix."""
    with pytest.raises(CertificateError, match=message) as caught:
        bundle_certificates(data, "bundle.json")

    assert caught.value.message.startswith("bundle.json")
    assert caught.value.hint
