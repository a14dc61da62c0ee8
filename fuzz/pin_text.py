"""Fuzz the pin parser against a regular expression and `base64`.

Each text, canonical, foreign or damaged, means the same pin to both, or is refused by both.
"""

from __future__ import annotations

import base64
import hashlib
import re

import atheris

from campaign import Target, expect, run

with atheris.instrument_imports(include=["holdfast"]):
    from holdfast.errors import PinFormatError
    from holdfast.pins.pin import Pin, PinAlgorithm

Reading = tuple[str, bytes] | None

_BASE64 = r"[A-Za-z0-9+/]{43}="
_TEXT = re.compile(
    f'sha256//?(?P<key>{_BASE64})|pin-sha256="(?P<hpkp>{_BASE64})"|cert-sha256/(?P<whole>{_BASE64})'
)
_HEX = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}")
_IMPOSSIBLE = [bytes(32), hashlib.sha256().digest()]

_FORMS = (
    ("sha256/", ""),
    ("cert-sha256/", ""),
    ("sha256//", ""),
    ('pin-sha256="', '"'),
    ("", ""),
    ("sha256///", ""),
    ("cert-sha256//", ""),
    ("SHA256/", ""),
    ("sha1/", ""),
    ('pin-sha256="', ""),
    ("pin-sha256=", ""),
    (" sha256/", "\n"),
)
# Characters that mean something in one of the forms, or look as if they did.
_TELLING = '=/+-_" \n\t\0:aAzZ09\u212a\u0660\uff21é\ud800'


def second_reading(text: str) -> Reading:
    """Read a pin as the code under test should; None: refused."""
    match = _TEXT.fullmatch(text)
    return match and _checked("cert-sha256" if match["whole"] else "sha256", _decoded(match))


def second_reading_of_hex(text: str) -> Reading:
    """Read a key's digest in hexadecimal; None: refused."""
    if not _HEX.fullmatch(text):
        return None
    return _checked("sha256", bytes.fromhex(text.replace(":", "")))


def _decoded(match: re.Match[str]) -> bytes:
    encoded = match["key"] or match["hpkp"] or match["whole"]
    digest = base64.b64decode(encoded)
    return digest if base64.b64encode(digest).decode("ascii") == encoded else b""


def _checked(algorithm: str, digest: bytes) -> Reading:
    return (algorithm, digest) if len(digest) == 32 and digest not in _IMPOSSIBLE else None


def _build(data: bytes) -> str:
    """Write a digest in some form, and damage it at a few places, or not at all."""
    fuzzed = atheris.FuzzedDataProvider(data)
    before, after = _FORMS[fuzzed.ConsumeIntInRange(0, len(_FORMS) - 1)]
    encoding = fuzzed.ConsumeIntInRange(0, 9)
    edits = fuzzed.ConsumeIntInRange(-6, 3)
    length = fuzzed.PickValueInList([32] * 6 + [31, 33, 0])
    places = [(fuzzed.ConsumeIntInRange(0, 59), fuzzed.ConsumeIntInRange(0, 5)) for _ in range(3)]
    characters = [fuzzed.ConsumeIntInRange(0, 4 * len(_TELLING)) for _ in range(3)]
    digest = fuzzed.ConsumeBytes(length).ljust(length, b"\0")
    match encoding:
        case 0:
            encoded, before, after = digest.hex(), "", ""
        case 1:
            encoded, before, after = digest.hex(":").upper(), "", ""
        case 2:
            encoded = base64.urlsafe_b64encode(digest).decode("ascii")
        case 3:
            digest = fuzzed.PickValueInList(_IMPOSSIBLE)
            encoded = base64.b64encode(digest).decode("ascii")
        case 4:
            # The last character has unused bits: the next one in the alphabet has one of them set.
            encoded = base64.b64encode(digest).decode("ascii")
            last = encoded.rstrip("=")[-1:]
            encoded = encoded.replace(f"{last}=", f"{chr(ord(last) + 1)}=") if last else ""
        case _:
            encoded = base64.b64encode(digest).decode("ascii")
    text: str = before + encoded + after
    for (at, removed), number in zip(places[: max(0, edits)], characters, strict=False):
        character = chr(number) if number >= len(_TELLING) else _TELLING[number]
        text = text[:at] + character + text[at + removed // 2 :]
    return text


def _reading(text: str) -> Reading:
    try:
        pin = Pin.parse(text)
    except PinFormatError:
        return None
    expect(pin, Pin.parse(str(pin)), "the canonical text gives the pin back")
    return pin.algorithm.value, pin.digest


def _reading_of_hex(text: str) -> Reading:
    try:
        pin = Pin.from_hex(text, PinAlgorithm.SPKI)
    except PinFormatError:
        return None
    return pin.algorithm.value, pin.digest


def _judge(text: str) -> bool:
    read, hexadecimal = _reading(text), _reading_of_hex(text)
    expect(second_reading(text), read, "the pin")
    expect(second_reading_of_hex(text), hexadecimal, "the digest in hexadecimal")
    return read is not None or hexadecimal is not None


def _plant_lax_base64() -> None:
    """Take what `base64` takes: characters outside the alphabet, unused bits that are set."""

    def parse(text: str) -> Pin:
        algorithm, separator, encoded = text.partition("/")
        if not separator or algorithm not in {"sha256", "cert-sha256"}:
            raise PinFormatError("not a pin")
        try:
            return Pin(PinAlgorithm(algorithm), base64.b64decode(encoded))
        except ValueError:
            raise PinFormatError("not base64") from None

    Pin.parse = parse  # type: ignore[method-assign]


def _plant_unchecked_spelling() -> None:
    """Check the alphabet, but not that encoding the digest gives the text back."""
    from holdfast.pins import pin

    def decode(encoded: str, text: str) -> bytes:
        try:
            return base64.b64decode(encoded, validate=True)
        except ValueError:
            raise PinFormatError(f"{text!r} is not base64") from None

    pin._decode = decode


if __name__ == "__main__":
    run(
        Target(
            build=_build,
            judge=_judge,
            seeds=lambda: (hashlib.sha512(bytes([number])).digest() for number in range(64)),
            mutants={
                "lax-base64": _plant_lax_base64,
                "unchecked-spelling": _plant_unchecked_spelling,
            },
        )
    )
