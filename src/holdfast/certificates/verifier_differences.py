"""Where `cryptography`'s verifier and OpenSSL answer differently, as far as it is known.

`evaluate` asks the first, clients in production ask the second. Each entry of the table is proven
by a test that shows a real chain to both. OpenSSL is meant as Python's `ssl` sets it up: security
level 2, no partial chains, and VERIFY_X509_STRICT (in `create_default_context()` from Python 3.13
on) only where an entry says so.

This module loads `cryptography`; it is imported when a chain was verified, not before.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from holdfast.certificates.verify_path import PathFailure
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.verdict import Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from cryptography.x509 import Certificate

_Value = TypeVar("_Value", bound=x509.ExtensionType)

_MAX_INTERMEDIATES = 8
_WEBPKI_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_WEBPKI_HASHES = ("sha256", "sha384", "sha512")
_MIN_RSA_BITS = 2048
# Those that OpenSSL processes and cryptography leaves unprocessed.
_POLICY_EXTENSIONS = (
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.INHIBIT_ANY_POLICY,
)


@dataclass(frozen=True, slots=True)
class Case:
    """What was asked: the path if there is one, else the chain and the anchors that it names."""

    links: tuple[Certificate, ...]
    presented: tuple[Certificate, ...]
    trusted: tuple[Certificate, ...]
    host: str
    now: datetime

    @property
    def leaf(self) -> Certificate:
        """The server's certificate."""
        return self.links[0]

    @property
    def cas(self) -> tuple[Certificate, ...]:
        """The other certificates."""
        return self.links[1:]


def differences(
    presented: tuple[bytes, ...],
    anchors: tuple[bytes, ...],
    host: str,
    now: datetime,
    answer: VerifiedChain | PathFailure,
) -> tuple[str, ...]:
    """Tell in what respects OpenSSL might not agree with the answer of `verify_path`.

    Args:
        presented: The chain that was verified, as DER, leaf first.
        anchors: The anchors that it was verified with.
        host: The name that it was verified for.
        now: The time that it was verified for.
        answer: What came of it.

    Returns:
        A phrase for each entry of the table that could matter; usually none.
    """
    if isinstance(answer, PathFailure) and answer.observed is not Observed.UNKNOWN:
        return ()  # with the right time, name or anchor the same chain would have passed here too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chain, trusted = _parsed(presented), _parsed(anchors)
        if not chain:
            return ()
        if isinstance(answer, VerifiedChain):
            table, links = OPENSSL_MAY_REFUSE, _parsed(tuple(c.der for c in answer.certificates))
        else:
            table = OPENSSL_MAY_ACCEPT
            issuers = {_spelling(link.issuer) for link in chain}
            named = [anchor for anchor in trusted if _spelling(anchor.subject) in issuers]
            if not named:
                return ()  # no verifier finds a path where nobody is named as its end
            links = (*chain, *(anchor for anchor in named if anchor not in chain))
        case = Case(links, chain, trusted, host, now)
        return tuple(phrase for phrase, applies in table.items() if _holds(applies, case))


def openssl_agrees(path: tuple[bytes, ...], host: str, now: datetime) -> bool:
    """Tell whether OpenSSL takes a path too that `confirm_path` returned, as far as it is known.

    This is for decisions and not for hints: what a parser raises is not taken for a yes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        links = tuple(map(x509.load_der_x509_certificate, path))
        case = Case(links, links[:-1], links[-1:], host, now)
        return not any(applies(case) for applies in OPENSSL_MAY_REFUSE.values())


def _holds(applies: Callable[[Case], bool], case: Case) -> bool:
    """Tell whether an entry applies; a hint that a parser cannot support is not given."""
    try:
        return applies(case)
    except Exception:  # noqa: BLE001
        return False


def _parsed(ders: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    """Parse what can be parsed, names included."""
    found = []
    for der in ders:
        try:
            certificate = x509.load_der_x509_certificate(der)
            _spelling(certificate.subject), _spelling(certificate.issuer)
        except Exception:  # noqa: BLE001, S112
            continue
        found.append(certificate)
    return tuple(found)


def _extension(
    certificate: Certificate, kind: type[_Value]
) -> tuple[_Value, bool] | tuple[None, bool]:
    """Return the value of an extension and whether it is critical."""
    try:
        extension = certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None, False
    return extension.value, extension.critical


def _has(certificate: Certificate, kind: type[x509.ExtensionType]) -> bool:
    return _extension(certificate, kind)[0] is not None


def _names(leaf: Certificate) -> list[str]:
    names, _ = _extension(leaf, x509.SubjectAlternativeName)
    return [] if names is None else names.get_values_for_type(x509.DNSName)


def _spelling(name: x509.Name) -> str:
    """Return a name without the letter case and string types that OpenSSL disregards."""
    return name.rfc4514_string().casefold()


def _only_common_name(case: Case) -> bool:
    has_name = bool(case.leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return has_name and not is_ip_literal(case.host) and not _names(case.leaf)


def _unusual_host(case: Case) -> bool:
    return any("_" in label or label.strip("-") != label for label in case.host.split("."))


def _leaf_is_ca(case: Case) -> bool:
    constraints, _ = _extension(case.leaf, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _leaf_signs_certificates(case: Case) -> bool:
    usage, _ = _extension(case.leaf, x509.KeyUsage)
    return usage is not None and usage.key_cert_sign


def _san_criticality(case: Case) -> bool:
    names, critical = _extension(case.leaf, x509.SubjectAlternativeName)
    return names is not None and critical != (not case.leaf.subject.rdns)


def _critical_extension(case: Case) -> bool:
    return _extension(case.leaf, x509.ExtendedKeyUsage)[1] or any(
        extension.critical and extension.oid in _POLICY_EXTENSIONS
        for link in case.links
        for extension in link.extensions
    )


def _name_constraint_forms(case: Case) -> bool:
    for ca in case.cas:
        constraints, _ = _extension(ca, x509.NameConstraints)
        if constraints is None:
            continue
        for name in (
            *(constraints.permitted_subtrees or ()),
            *(constraints.excluded_subtrees or ()),
        ):
            is_dotted = isinstance(name, x509.DNSName) and name.value.startswith(".")
            if is_dotted or isinstance(name, x509.DirectoryName):
                return True
    return False


def _issuer_spelling(case: Case) -> bool:
    spelled = {(_spelling(ca.subject), ca.subject.public_bytes()) for ca in case.cas}
    known = {text for text, _ in spelled}
    return any(
        _spelling(link.issuer) in known
        and (_spelling(link.issuer), link.issuer.public_bytes()) not in spelled
        for link in case.links
    )


def _unusual_algorithm(case: Case) -> bool:
    for ca in case.cas:
        key = ca.public_key()
        is_webpki = isinstance(key, rsa.RSAPublicKey) or (
            isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _WEBPKI_CURVES
        )
        if not is_webpki:
            return True
    hashes = [link.signature_hash_algorithm for link in case.links]
    return any(used is None or used.name not in _WEBPKI_HASHES for used in hashes)


def _weak_leaf_key(case: Case) -> bool:
    key = case.leaf.public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS


def _expiring_second(case: Case) -> bool:
    second = case.now.replace(microsecond=0)
    return any(link.not_valid_after_utc == second for link in case.links)


def _key_identifier_mismatch(case: Case) -> bool:
    for link, issuer in zip(case.links, case.cas, strict=False):
        wanted, _ = _extension(link, x509.AuthorityKeyIdentifier)
        shown, _ = _extension(issuer, x509.SubjectKeyIdentifier)
        if wanted is None or wanted.key_identifier is None or shown is None:
            continue
        if wanted.key_identifier != shown.digest:
            return True
    return False


def _top_level_wildcard(case: Case) -> bool:
    names = [name.lower() for name in _names(case.leaf)]
    parent = case.host.partition(".")[2]
    return "." not in parent and f"*.{parent}" in names and case.host not in names


def _several_candidates(case: Case) -> bool:
    """OpenSSL looks among the anchors first: one that was sent too is no second candidate."""
    *between, anchor = case.links
    passed = {link.subject for link in between[1:]}
    others = [link for link in (*case.presented, *case.trusted) if link not in case.links]
    return any(
        other.subject in passed or (other.subject == anchor.subject and other in case.trusted)
        for other in others
    )


def _any_usage_only(case: Case) -> bool:
    usages = [_extension(ca, x509.ExtendedKeyUsage)[0] for ca in case.cas]
    return any(usage and ExtendedKeyUsageOID.SERVER_AUTH not in usage for usage in usages)


def _no_tls_key_usage(case: Case) -> bool:
    usage, _ = _extension(case.leaf, x509.KeyUsage)
    return usage is not None and not (
        usage.digital_signature or usage.key_encipherment or usage.key_agreement
    )


def _missing_key_identifier(case: Case) -> bool:
    return any(not _has(ca, x509.SubjectKeyIdentifier) for ca in case.cas) or any(
        not _has(ca, x509.AuthorityKeyIdentifier) for ca in case.cas if ca.issuer != ca.subject
    )


OPENSSL_MAY_ACCEPT: Mapping[str, Callable[[Case], bool]] = {
    "the leaf has no authority key identifier (VERIFY_X509_STRICT refuses it too)": (
        lambda case: not _has(case.leaf, x509.AuthorityKeyIdentifier)
    ),
    "the leaf names its host in the common name only": _only_common_name,
    "the host has an underscore, or a hyphen at the edge of a label": _unusual_host,
    "the leaf is marked as a CA": _leaf_is_ca,
    "the leaf may sign certificates (VERIFY_X509_STRICT refuses it too)": _leaf_signs_certificates,
    "the leaf's names are critical beside a subject, or not critical without one": _san_criticality,
    "an extended key usage or a policy is critical": _critical_extension,
    "a CA has no key usage (VERIFY_X509_STRICT refuses it too)": (
        lambda case: not all(_has(ca, x509.KeyUsage) for ca in case.cas)
    ),
    "a CA has no critical basicConstraints (VERIFY_X509_STRICT refuses it too)": (
        lambda case: not all(_extension(ca, x509.BasicConstraints)[1] for ca in case.cas)
    ),
    "a CA constrains directory names, or DNS names with a leading dot": _name_constraint_forms,
    "there are more than 8 intermediates": lambda case: len(case.cas) > _MAX_INTERMEDIATES + 1,
    "an issuer's name is spelled otherwise than the subject it means": _issuer_spelling,
    "a CA's key or a signature is of a kind that public CAs do not use": _unusual_algorithm,
}
"""What may be the matter with a chain that is refused here."""

OPENSSL_MAY_REFUSE: Mapping[str, Callable[[Case], bool]] = {
    "the leaf's RSA key is shorter than 2048 bits": _weak_leaf_key,
    "the path ends in a trusted certificate that is no root": (
        lambda case: case.links[-1].issuer != case.links[-1].subject
    ),
    "a certificate expires in this very second": _expiring_second,
    "a certificate names another key identifier than its issuer has": _key_identifier_mismatch,
    "a wildcard stands right below a top-level domain": _top_level_wildcard,
    "a CA has several certificates, of which OpenSSL tries only one": _several_candidates,
    "a CA's extended key usage does not name servers": _any_usage_only,
    "the leaf's key usage has none of those of TLS": _no_tls_key_usage,
    "a subject key identifier is critical": (
        lambda case: any(_extension(link, x509.SubjectKeyIdentifier)[1] for link in case.links)
    ),
    "a CA lacks a key identifier (only VERIFY_X509_STRICT refuses it)": _missing_key_identifier,
}
"""What may be the matter with a chain that is accepted here."""
