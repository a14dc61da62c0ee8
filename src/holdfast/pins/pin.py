"""A pin: an algorithm and a digest, and the texts in which people write one.

`sha256/<base64>` is the SHA-256 of a SubjectPublicKeyInfo (RFC 7469 section 2.4),
`cert-sha256/<base64>` that of a whole DER certificate. There is exactly one canonical text for a
pin. Two foreign forms of a key pin are read too: curl's `sha256//<base64>` and HPKP's
`pin-sha256="<base64>"`. Everything else is an error that says how to mend it, never "no pin"
(urllib3 treats an empty fingerprint as "do not pin").
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from enum import StrEnum

from holdfast.errors import Mistake, PinFormatError

DIGEST_LENGTH = 32
_BASE64_LENGTH = 44
_PREFIX = "sha256/"
_CANONICAL_LENGTH = len(_PREFIX) + _BASE64_LENGTH
_HEX_LENGTH = 64
_QUOTE_LIMIT = 80
_ALL_ZERO = bytes(DIGEST_LENGTH)
# A tool that pipes nothing into `openssl dgst` prints this with exit code 0; it was shipped as a
# pin more than once.
_EMPTY_INPUT = hashlib.sha256(b"").digest()
_CONVERT = "convert it with `holdfast key pin --hex-spki` or `--hex-cert`"
_WEAK = ("sha1", "md5", "sha-1", "sha224")


class PinAlgorithm(StrEnum):
    """What the digest is taken over."""

    SPKI = "sha256"
    CERTIFICATE = "cert-sha256"


@dataclass(frozen=True, slots=True)
class Pin:
    """The SHA-256 digest of a public key (SPKI) or of a whole certificate."""

    algorithm: PinAlgorithm
    digest: bytes

    def __post_init__(self) -> None:
        """Refuse digests that cannot be those of a key or certificate."""
        if type(self.digest) is not bytes or type(self.algorithm) is not PinAlgorithm:
            raise TypeError("a pin takes a PinAlgorithm and bytes; text is read by Pin.parse")
        if len(self.digest) != DIGEST_LENGTH:
            raise PinFormatError(
                f"a pin's digest has {DIGEST_LENGTH} bytes, not {len(self.digest)}",
                hint="it was cut off or is not SHA-256; take it again with `holdfast key pin FILE`",
                mistake=Mistake.LENGTH,
            )
        if self.digest == _ALL_ZERO:
            raise PinFormatError(
                "the pin is all zeros",
                hint="this is a place-holder; put the real pin there",
                mistake=Mistake.ALL_ZERO,
            )
        if self.digest == _EMPTY_INPUT:
            raise PinFormatError(
                "the pin is the SHA-256 of empty input",
                hint="its maker read nothing; take it again with `holdfast key pin FILE`",
                mistake=Mistake.EMPTY_INPUT,
            )

    @property
    def is_certificate(self) -> bool:
        """Whether it is over a whole certificate, and not over a key."""
        return self.algorithm is PinAlgorithm.CERTIFICATE

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.algorithm.value}/{b2a_base64(self.digest, newline=False).decode('ascii')}"

    @classmethod
    def parse(cls, text: str) -> Pin:
        """Read a pin from its canonical text, curl's `sha256//` form or HPKP's `pin-sha256="..."`.

        Raises:
            PinFormatError: The text is anything else, including another encoding of the same
                digest.
        """
        if len(text) == _CANONICAL_LENGTH and text.startswith(_PREFIX):
            return cls(PinAlgorithm.SPKI, _decode(text[len(_PREFIX) :], text))
        algorithm, encoded = _split(text)
        return cls(algorithm, _decode(encoded, text))

    @classmethod
    def from_hex(cls, text: str, algorithm: PinAlgorithm) -> Pin:
        """Read a digest in hexadecimal, where the caller knows what it was taken over.

        Upper and lower case and `AA:BB:...` are accepted: certificate viewers print all of them.

        Raises:
            PinFormatError: The text is not 32 bytes of hexadecimal.
        """
        pairs = text.split(":")
        digits = "".join(pairs) if all(len(pair) == 2 for pair in pairs) else text
        if len(digits) != _HEX_LENGTH or _without_digits(digits):
            raise PinFormatError(
                f"{quoted(text)} is not a SHA-256 digest in hexadecimal",
                hint=f"write {_HEX_LENGTH} hex digits",
                mistake=Mistake.ENCODING if _without_digits(digits) else Mistake.LENGTH,
            )
        return cls(algorithm, bytes.fromhex(digits))

    @classmethod
    def of_spki(cls, spki: bytes) -> Pin:
        """Return the pin of a SubjectPublicKeyInfo, given as it stands in the certificate."""
        return cls(PinAlgorithm.SPKI, hashlib.sha256(spki).digest())

    @classmethod
    def of_certificate(cls, der: bytes) -> Pin:
        """Return the pin of a whole DER certificate."""
        return cls(PinAlgorithm.CERTIFICATE, hashlib.sha256(der).digest())


def _without_digits(text: str) -> str:
    """Return what is left of a text without hexadecimal digits at its ends."""
    return text.strip("0123456789abcdefABCDEF")


def quoted(text: str) -> str:
    """Return outside text fit for a message: escaped, quoted and of bounded length."""
    return ascii(text if len(text) <= _QUOTE_LIMIT else text[:_QUOTE_LIMIT] + "...")


def _split(text: str) -> tuple[PinAlgorithm, str]:
    """Take the prefix off and say what it means."""
    if text.startswith("sha256/"):
        encoded = text[len("sha256/") :]
        # A canonical digest may itself start with '/': only the length tells curl's second slash
        # from it.
        is_curl = len(encoded) == _BASE64_LENGTH + 1 and encoded[0] == "/"
        return PinAlgorithm.SPKI, encoded[1:] if is_curl else encoded
    if text.startswith("cert-sha256/"):
        return PinAlgorithm.CERTIFICATE, text[len("cert-sha256/") :]
    if text.startswith('pin-sha256="') and text.endswith('"'):
        return PinAlgorithm.SPKI, text[len('pin-sha256="') : -1]
    if not text:
        raise PinFormatError("the pin is empty", hint="remove it, or write sha256/<base64>")
    mistake = Mistake.ENCODING if _is_hexadecimal(text.strip()) else None
    raise PinFormatError(f"{quoted(text)} is not a pin", hint=_prefix_fix(text), mistake=mistake)


def _is_hexadecimal(text: str) -> bool:
    digits = text.replace(":", "")
    return len(digits) == _HEX_LENGTH and not _without_digits(digits)


def _prefix_fix(text: str) -> str:
    """Guess what the writer of a text without a known prefix meant."""
    lowered = text.strip().lower()
    if text != text.strip():
        return "remove the white space around it"
    if lowered.startswith(_WEAK):
        return "SHA-1 and MD5 are not accepted; take the SHA-256 pin with `holdfast key pin FILE`"
    if lowered.startswith(("sha256/", "cert-sha256/", "pin-sha256=")):
        return "write the prefix in lower case: sha256/ or cert-sha256/"
    if _is_hexadecimal(lowered):
        return f"hexadecimal does not say what was hashed; {_CONVERT}"
    if len(text) == _BASE64_LENGTH:
        return "say what was hashed: sha256/ for a public key, cert-sha256/ for a certificate"
    return "write sha256/<base64> for a public key or cert-sha256/<base64> for a whole certificate"


def _decode(encoded: str, text: str) -> bytes:
    """Decode base64 in its only spelling: encoding the result must give the text back."""
    try:
        digest = a2b_base64(encoded, strict_mode=True)
    except ValueError:  # binascii.Error is one; text outside ASCII raises another
        digest = b""
    # Without this, the last character's unused bits would let several texts stand for one digest.
    if len(digest) != DIGEST_LENGTH or b2a_base64(digest, newline=False) != encoded.encode():
        fix, mistake = _encoding_fix(encoded, digest)
        raise PinFormatError(f"{quoted(text)} is not a canonical pin", hint=fix, mistake=mistake)
    return digest


def _encoding_fix(encoded: str, digest: bytes) -> tuple[str, Mistake]:
    """Say why base64 text was refused, and what kind of mistake that is."""
    if not encoded:
        return "there is no digest after the prefix", Mistake.LENGTH
    if any(character.isspace() for character in encoded):
        return "remove the white space", Mistake.ENCODING
    if "-" in encoded or "_" in encoded:
        return "this is URL-safe base64; write + for - and / for _", Mistake.ENCODING
    if len(encoded) == _BASE64_LENGTH - 1 and not encoded.endswith("="):
        return "add the missing = at its end", Mistake.ENCODING
    if _is_hexadecimal(encoded):
        return f"this is hexadecimal; {_CONVERT}", Mistake.ENCODING
    if len(digest) == DIGEST_LENGTH:
        fix = "its last characters are not the canonical base64; take the pin again from the key"
        return fix, Mistake.ENCODING
    if digest:
        fix = f"a SHA-256 digest has {DIGEST_LENGTH} bytes, this has {len(digest)}"
        return fix, Mistake.LENGTH
    return f"write {_BASE64_LENGTH} characters of standard base64", Mistake.ENCODING
