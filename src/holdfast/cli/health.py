"""What may stand between a policy and its enforcement here: versions, overrides, patches, trust."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from holdfast.facts.known_bad import DISTRUSTED_ROOTS, KNOWN_BAD, Version
from holdfast.findings.finding import Severity

_OVERRIDES = {
    "SSL_CERT_FILE": "replaces the platform's file of trusted CAs",
    "SSL_CERT_DIR": "replaces the platform's folder of trusted CAs",
    "OPENSSL_CONF": "replaces OpenSSL's configuration, which can change what verifies",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer of one check. Without a severity all is well."""

    name: str
    detail: str
    severity: Severity | None = None
    rule: str | None = None
    action: str | None = None
    source: str | None = None


def versions() -> Iterator[Health]:
    """Compare what is installed with what is known to be bad."""
    for product, shown, parsed in _installed():
        known = [bad for bad in KNOWN_BAD if bad.product == product and bad.affects(parsed)]
        if not known:
            yield Health(name=product, detail=f"{shown}: no known weakness that bears on pinning")
        for bad in known:
            yield Health(
                name=product,
                detail=f"{shown} has {bad.id}: {bad.effect}",
                severity=Severity.WARNING,
                rule="HF501",
                action=f"go to {bad.mended_in(parsed)}, or make sure that your supplier mended it",
                source=bad.source,
            )


def verified_path_access() -> Health:
    """Say by which way the verified path is had."""
    from holdfast.errors import UnsupportedRuntimeError

    try:
        from holdfast.enforcement.verified_path import HAS_PRIVATE_METHOD, HAS_PUBLIC_METHOD
    except UnsupportedRuntimeError as error:
        return Health(
            name="verified path",
            detail=error.message,
            severity=Severity.ERROR,
            rule="HF502",
            action=error.hint,
        )
    ways = {
        "the private method, found where CPython has it": HAS_PRIVATE_METHOD,
        "the public method": HAS_PUBLIC_METHOD,
    }
    known = ", else ".join(way for way, is_there in ways.items() if is_there)
    return Health(name="verified path", detail=f"get_verified_chain(): {known}")


def overrides(environment: Mapping[str, str]) -> Iterator[Health]:
    """Name the variables that change what OpenSSL trusts or gives away."""
    for name, effect in _OVERRIDES.items():
        if not (value := environment.get(name)):
            continue
        is_there = Path(value).exists()
        yield Health(
            name=name,
            detail=f"{value} {effect}" + ("" if is_there else ", and does not exist"),
            severity=Severity.NOTE if is_there else Severity.WARNING,
            rule="HF503",
            action=f"unset {name} unless it is meant" if is_there else f"mend or unset {name}",
        )
    if value := environment.get("SSLKEYLOGFILE"):
        yield Health(
            name="SSLKEYLOGFILE",
            detail=f"{value} receives the secrets of create_default_context()'s connections",
            severity=Severity.WARNING,
            rule="HF503",
            action="unset it outside of debugging: who reads that file reads the traffic",
        )


def patches() -> Iterator[Health]:
    """Name what has put itself in the place of `ssl` in this process."""
    if ssl.SSLContext.__module__ != "ssl":
        yield Health(
            name="ssl",
            detail=f"ssl.SSLContext was replaced by {ssl.SSLContext.__module__}",
            severity=Severity.WARNING,
            rule="HF504",
            action="do not inject it: pinned contexts need the genuine class and OpenSSL's store",
        )
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and not monkey.is_module_patched("ssl"):
        yield Health(
            name="ssl",
            detail="gevent is loaded, but has not patched ssl: connections fail closed",
            severity=Severity.WARNING,
            rule="HF504",
            action="call gevent.monkey.patch_all() before anything imports ssl",
        )


def platform_store() -> Iterator[Health]:
    """Look into the trust store that pinned contexts use by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    loaded = context.get_ca_certs(binary_form=True)
    folder = ssl.get_default_verify_paths().capath
    in_folder = len(list(Path(folder).glob("*.[0-9]"))) if folder else 0
    if not loaded and not in_folder:
        yield Health(
            name="trust store",
            detail="it is empty: nothing can be verified",
            severity=Severity.ERROR,
            rule="HF505",
            action="install the system's CA certificates, or give PinningContext public_anchors",
        )
        return
    yield Health(
        name="trust store",
        detail=f"{len(loaded)} CAs" if loaded else f"{in_folder} CAs, looked up in {folder}",
    )
    digests = {sha256(der).digest() for der in loaded}
    for root in DISTRUSTED_ROOTS:
        if root.cert_sha256 in digests:
            yield Health(
                name="trust store",
                detail=f"it holds {root.name}, which browsers have removed: {root.reason}",
                severity=Severity.WARNING,
                rule="HF506",
                action="update the system's CA certificates: hosts without leaf pins are at risk",
                source=root.source,
            )


def strictness(certificates: tuple[bytes, ...]) -> Iterator[Health]:
    """Find certificates that VERIFY_X509_STRICT refuses: it is on by default from Python 3.13."""
    refuses_now = sys.version_info >= (3, 13)
    for position, der in enumerate(certificates):
        for flaw in _flaws(der):
            yield Health(
                name="strictness",
                detail=f"certificate {position} of --anchors {flaw}: Python 3.13 refuses its paths",
                severity=Severity.ERROR if refuses_now else Severity.WARNING,
                rule="HF507",
                action="issue it again with the extensions of RFC 5280 section 4.2.1",
                source="RFC 5280 section 4.2.1",
            )


def _flaws(der: bytes) -> Iterator[str]:
    """Say which extensions are missing, as OpenSSL's check_extensions() asks for them."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = {extension.oid: extension for extension in certificate.extensions}
    except (ValueError, x509.DuplicateExtension) as error:
        yield f"cannot be read ({error})"
        return
    constraints = extensions.get(x509.BasicConstraints.oid)
    is_ca = isinstance(getattr(constraints, "value", None), x509.BasicConstraints) and bool(
        constraints and constraints.value.ca
    )
    if is_ca and constraints and not constraints.critical:
        yield "has basicConstraints that are not critical"
    if is_ca and x509.KeyUsage.oid not in extensions:
        yield "has no keyUsage"
    if is_ca and x509.SubjectKeyIdentifier.oid not in extensions:
        yield "has no subjectKeyIdentifier"
    if (
        certificate.subject != certificate.issuer
        and x509.AuthorityKeyIdentifier.oid not in extensions
    ):
        yield "has no authorityKeyIdentifier"


def _installed() -> Iterator[tuple[str, str, Version]]:
    shown = ".".join(map(str, sys.version_info[:3]))
    yield "Python", f"{sys.implementation.name} {shown}", tuple(sys.version_info[:3])
    if ssl.OPENSSL_VERSION.startswith("OpenSSL "):
        major, minor, fix, patch, _ = ssl.OPENSSL_VERSION_INFO
        # From 3.0 the third number is called patch and stands where the letter did.
        parsed = (major, minor, patch) if major >= 3 else (major, minor, fix, patch)
        yield "OpenSSL", ssl.OPENSSL_VERSION, parsed
    for name in ("cryptography", "certifi"):
        text = version(name)
        numbers = [part for part in text.split(".") if part.isdigit()]
        yield name, text, tuple(map(int, numbers))
