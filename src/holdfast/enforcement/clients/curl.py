"""Pins for libcurl, by its option PINNEDPUBLICKEY: pycurl and curl_cffi. Neither is needed here.

    pins = curl_pins(policy, "api.example.com")
    pins.apply_to(curl)                                    # a pycurl.Curl
    curl_cffi.Session(curl_options=pins.curl_cffi_options())

libcurl holds the key of the leaf against a list, after it has verified the certificate as usual.
That is all that it can do: the losses say what is missing, and `strict` refuses them.

1. Only keys that a leaf may have are put into the list, and no denied one.
2. Verification is switched on. libcurl has let pins slip where it was off (its bug 1471, 2015).
3. Nothing but https is spoken, after a redirect too, and no HTTP/3 (CVE-2025-13034, CVE-2025-5025).
   The pins go for each host that the handle is sent to, so that another host's key is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.certificates.pem import certificate_text
from holdfast.enforcement.clients.one_host import lost_anywhere, pin_set_of
from holdfast.errors import LossError
from holdfast.formats.loss import Effect, Loss, LossKind, refuse_losses
from holdfast.pins.interfaces import PolicySource
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import PinSet, Require, Trust, place_of

__all__ = ["CurlPins", "curl_pins"]

_TITLE = "libcurl"


@dataclass(frozen=True, slots=True)
class CurlPins:
    """What libcurl is told about one host.

    Attributes:
        public_keys: The value of PINNEDPUBLICKEY; empty for a private set without pins.
        anchors: The only trust anchors, as PEM, of a private set; None for the usual ones.
        only_tls13: Whether TLS 1.2 is off, in which a server may ask for another handshake.
        losses: What of the policy it does not hold.
    """

    public_keys: str
    anchors: str | None
    only_tls13: bool
    losses: tuple[Loss, ...]

    def apply_to(self, curl: Any) -> None:
        """Set the options of a handle of pycurl. What is set later takes their place."""
        import pycurl

        for name, value in self._settings().items():
            curl.setopt(getattr(pycurl, name), value)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        version = pycurl.SSLVERSION_TLSv1_3 if self.only_tls13 else pycurl.SSLVERSION_TLSv1_2
        curl.setopt(pycurl.SSLVERSION, version)
        if self.anchors is not None:
            curl.setopt(pycurl.CAINFO_BLOB, self.anchors)
            curl.unsetopt(pycurl.CAPATH)

    def curl_cffi_options(self) -> dict[Any, Any]:
        """Return `curl_options` for a session of curl_cffi.

        Raises:
            LossError: The set has anchors of its own, which curl_cffi takes from a file only.
        """
        from curl_cffi import CurlHttpVersion, CurlOpt, CurlSslVersion

        if self.anchors is not None:
            raise LossError(
                "curl_cffi takes the anchors of a private set from a file only",
                hint="write them to one, pass it as verify=, and set PINNEDPUBLICKEY yourself",
            )
        version = CurlSslVersion.TLSv1_3 if self.only_tls13 else CurlSslVersion.TLSv1_2
        return {
            **{CurlOpt[name]: value for name, value in self._settings().items()},
            CurlOpt.PROTOCOLS_STR: "https",
            CurlOpt.REDIR_PROTOCOLS_STR: "https",
            CurlOpt.HTTP_VERSION: int(CurlHttpVersion.V2TLS),
            CurlOpt.SSLVERSION: int(version),
        }

    def _settings(self) -> dict[str, str | int]:
        """Return what both call by the same name and give the same value."""
        keys: dict[str, str | int] = (
            {"PINNEDPUBLICKEY": self.public_keys} if self.public_keys else {}
        )
        return {**keys, "SSL_VERIFYPEER": 1, "SSL_VERIFYHOST": 2}


def curl_pins(
    policy: PolicySource, host: str, *, only_tls13: bool = False, strict: bool = False
) -> CurlPins:
    """Return what libcurl is to be told about a host.

    Args:
        policy: A `Policy`, or a source, whose policy of now is taken.
        host: The host that is connected to.
        only_tls13: Whether to switch TLS 1.2 off, where a server may ask for another handshake
            after the pins were looked at.
        strict: Whether losses that change who is connected to are an error.

    Raises:
        HostNameError: The host is none.
        LossError: Nothing of the set can be held, or `strict` refuses what is lost.
        PinnedContextError: No set covers the host.
    """
    current, pin_set = pin_set_of(policy, host)
    if pin_set.trust is Trust.PINS_ONLY:
        raise LossError(
            f"{_TITLE} cannot hold {place_of(pin_set.name)}: it has to verify certificates",
            hint="use a client that takes an ssl.SSLContext, or private trust with the "
            "device's certificate as its anchor",
        )
    keys = [pin for pin in _leaf_keys(pin_set) if pin.digest not in current.denied_digests]
    if pin_set.pins and not keys:
        raise LossError(
            f"{_TITLE} cannot hold {place_of(pin_set.name)}: it pins keys of leaves (sha256/ in "
            "`leaf` or `backup`), and the set has none that is not denied",
            hint="use a client that takes an ssl.SSLContext",
        )
    losses = (
        *lost_anywhere(current, pin_set, _TITLE),
        *_lost(pin_set, only_tls13=only_tls13),
    )
    if strict:
        refuse_losses(losses)
    # sha256// with two slashes is libcurl's own form.
    public_keys = ";".join(f"sha256//{str(pin).partition('/')[2]}" for pin in keys)
    anchors = "".join(map(certificate_text, pin_set.anchors)) or None
    return CurlPins(public_keys, anchors, only_tls13, losses)


def _leaf_keys(pin_set: PinSet) -> Iterator[Pin]:
    return (pin for pin in pin_set.leaf + pin_set.backup if pin.algorithm is PinAlgorithm.SPKI)


def _lost(pin_set: PinSet, *, only_tls13: bool) -> Iterator[Loss]:
    place = place_of(pin_set.name)

    def loss(kind: LossKind, effect: Effect, key: str, consequence: str) -> Loss:
        return Loss(
            kind=kind,
            effect=effect,
            place=f"{place}.{key}",
            consequence=consequence,
            subject=pin_set.name,
        )

    if pin_set.ca and pin_set.require is Require.LEAF_AND_CA:
        consequence = f"{_TITLE} sees no CA: any path over a pinned leaf key is accepted"
        yield loss(LossKind.LEAF_AND_CA, Effect.LETS_THROUGH, "require", consequence)
    elif pin_set.ca:
        consequence = f"{_TITLE} sees no CA: another leaf of a pinned CA is refused"
        yield loss(LossKind.CA_PINS, Effect.REFUSES, "ca", consequence)
    for key, pins in (("leaf", pin_set.leaf), ("backup", pin_set.backup)):
        if any(pin.algorithm is PinAlgorithm.CERTIFICATE for pin in pins):
            consequence = f"{_TITLE} pins keys: a leaf that is known by its certificate is refused"
            yield loss(LossKind.CERTIFICATE_PINS, Effect.REFUSES, key, consequence)
    if pin_set.pins and not only_tls13:
        consequence = (
            f"in TLS 1.2 {_TITLE} does not look at the key that a server shows when it "
            "asks for another handshake; only_tls13 switches TLS 1.2 off"
        )
        yield loss(LossKind.RENEGOTIATION, Effect.LETS_THROUGH, "leaf", consequence)
