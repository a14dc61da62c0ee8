import ssl
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.cli import health
from holdfast.cli.health import Health
from holdfast.facts import known_bad
from holdfast.facts.known_bad import DistrustedRoot
from holdfast.findings.finding import Severity
from holdfast.lab.authorities import Authority, new_key


def _graver_than_ok(answers: object) -> list[tuple[str | None, Severity]]:
    return [
        (answer.rule, answer.severity)
        for answer in answers  # type: ignore[attr-defined]
        if isinstance(answer, Health) and answer.severity is not None
    ]


def test_each_product_is_judged() -> None:
    """Python, OpenSSL, cryptography and certifi each have an answer with their version."""
    answers = list(health.versions())

    assert {"Python", "OpenSSL", "cryptography", "certifi"} == {answer.name for answer in answers}
    assert any(ssl.OPENSSL_VERSION in answer.detail for answer in answers)


@pytest.mark.parametrize(
    ("version", "count"), [((3, 11, 4), 5), ((3, 13, 16), 1), ((3, 13, 18), 0)]
)
def test_known_bad_python_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], count: int
) -> None:
    """Each weakness of the running Python is a warning that says where to go, never an error."""
    monkeypatch.setattr(sys, "version_info", version)

    found = [answer for answer in health.versions() if answer.name == "Python" and answer.rule]

    assert [Severity.WARNING] * count == [answer.severity for answer in found]
    assert all(answer.action and answer.source for answer in found)


@pytest.mark.parametrize(
    ("info", "text", "rules"),
    [
        ((3, 0, 0, 6, 0), "OpenSSL 3.0.6", ["HF501"]),
        ((3, 0, 0, 19, 0), "OpenSSL 3.0.19", []),
        ((1, 1, 1, 13, 15), "OpenSSL 1.1.1m", ["HF501"]),
        ((1, 1, 1, 14, 15), "OpenSSL 1.1.1n", []),
        ((2, 0, 0, 0, 0), "LibreSSL 3.8", []),
    ],
)
def test_known_bad_openssl_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, info: tuple[int, ...], text: str, rules: list[str]
) -> None:
    """Both numberings of OpenSSL are understood; another library is not judged by them."""
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", info)
    monkeypatch.setattr(ssl, "OPENSSL_VERSION", text)

    found = [answer.rule for answer in health.versions() if answer.name == "OpenSSL"]

    assert rules == [rule for rule in found if rule]


def test_way_to_the_path_is_named() -> None:
    """It is said by which methods the verified path can be had."""
    answer = health.verified_path_access()

    assert (None, True) == (answer.severity, "the private method" in answer.detail)
    assert (sys.version_info >= (3, 13)) == ("the public method" in answer.detail)


@pytest.mark.threat("T26", "T27")
def test_overrides_are_told(tmp_path: Path) -> None:
    """A variable that changes trust is a note, a dangling or leaking one a warning."""
    there = str(tmp_path)

    assert [] == list(health.overrides({"PATH": "/bin", "SSL_CERT_FILE": ""}))
    assert [("HF503", Severity.NOTE)] * 3 == _graver_than_ok(
        health.overrides({"SSL_CERT_FILE": there, "SSL_CERT_DIR": there, "OPENSSL_CONF": there})
    )
    assert [("HF503", Severity.WARNING)] * 2 == _graver_than_ok(
        health.overrides({"SSL_CERT_FILE": f"{there}/missing", "SSLKEYLOGFILE": there})
    )


def test_patches_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced context class is told, and gevent that came without patching ssl."""
    assert [] == list(health.patches())

    monkeypatch.setattr(ssl, "SSLContext", type("SSLContext", (), {"__module__": "truststore"}))
    gevent = SimpleNamespace(is_module_patched=lambda _name: False)
    monkeypatch.setitem(sys.modules, "gevent.monkey", gevent)

    assert [("HF504", Severity.WARNING)] * 2 == _graver_than_ok(health.patches())


def test_empty_store_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a single CA nothing can be verified, and that is said."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert [("HF505", Severity.ERROR)] == _graver_than_ok(health.platform_store())


def test_store_in_a_folder_is_not_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CAs that OpenSSL looks up in a folder count, though nothing is loaded."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    (tmp_path / "0a1b2c3d.0").write_text(Authority.new("root").pem)

    (answer,) = health.platform_store()

    assert (None, True) == (answer.severity, "1 CAs, looked up in" in answer.detail)


def test_distrusted_root_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A root that browsers have removed is a warning when the store still holds it."""
    root = Authority.new("gone bad")
    store = tmp_path / "ca.pem"
    store.write_text(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    digest = root.certificate.fingerprint(hashes.SHA256())
    listed = DistrustedRoot("gone bad", digest, "its keys leaked", "https://example.com")

    assert [] == _graver_than_ok(health.platform_store())
    monkeypatch.setattr(health, "DISTRUSTED_ROOTS", (*known_bad.DISTRUSTED_ROOTS, listed))
    assert [("HF506", Severity.WARNING)] == _graver_than_ok(health.platform_store())


def test_certificates_that_strict_refuses_are_found() -> None:
    """What Python 3.13 refuses is a warning before, an error from there on; sound ones pass."""
    sound = Authority.new("root").intermediate("issuer")
    key = new_key()
    name = x509.Name([])
    bare = (
        x509.CertificateBuilder(issuer_name=sound.certificate.subject, subject_name=name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(sound.certificate.not_valid_before_utc)
        .not_valid_after(sound.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        .sign(sound.key, hashes.SHA256())
    )
    severity = Severity.ERROR if sys.version_info >= (3, 13) else Severity.WARNING

    found = list(health.strictness((bare.public_bytes(Encoding.DER),)))

    ders = [
        link.public_bytes(Encoding.DER)
        for link in (sound.certificate, sound.issue("x").certificate)
    ]
    assert [] == list(health.strictness(tuple(ders)))
    assert [("HF507", severity)] * 4 == _graver_than_ok(found)
    for missing in ("not critical", "keyUsage", "subjectKeyIdentifier", "authorityKeyIdentifier"):
        assert any(missing in answer.detail for answer in found)


def test_unreadable_certificate_is_told() -> None:
    """Bytes that are no certificate, or one with an extension twice, are a finding each."""
    key_usage, key_identifier = bytes.fromhex("551d0f"), bytes.fromhex("551d0e")
    whole = Authority.new("CA").certificate.public_bytes(Encoding.DER)
    twice = whole.replace(key_identifier, key_usage)

    for certificate in (b"\x30\x00", twice):
        (answer,) = health.strictness((certificate,))
        assert "cannot be read" in answer.detail
