from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PinFormatError
from holdfast.pins.pin import Pin, PinAlgorithm, quoted

DIGEST = hashlib.sha256(b"a key").digest()
ENCODED = base64.b64encode(DIGEST).decode()
# Its canonical text is `sha256//...`, which looks like curl's form of a shorter digest.
SLASHED = b"\xff" + DIGEST[1:]

DIGESTS = st.binary(min_size=32, max_size=32).filter(
    lambda digest: digest not in (bytes(32), hashlib.sha256(b"").digest())
)


@given(st.sampled_from(PinAlgorithm), DIGESTS)
def test_text_gives_the_pin_back(algorithm: PinAlgorithm, digest: bytes) -> None:
    """Parsing the canonical text of a pin returns an equal pin."""
    pin = Pin(algorithm, digest)

    assert pin == Pin.parse(str(pin))


@given(DIGESTS)
def test_foreign_forms_of_a_key_pin_are_read(digest: bytes) -> None:
    """The texts of curl and HPKP mean the key pin of the same digest, whatever it begins with."""
    encoded = base64.b64encode(digest).decode()

    assert Pin(PinAlgorithm.SPKI, digest) == Pin.parse(f"sha256//{encoded}")
    assert Pin(PinAlgorithm.SPKI, digest) == Pin.parse(f'pin-sha256="{encoded}"')


def test_a_digest_that_begins_with_a_slash_is_not_taken_for_curls_form() -> None:
    """`sha256//...` of 44 characters after the first slash is canonical; with 45 it is curl's."""
    encoded = base64.b64encode(SLASHED).decode()

    assert encoded.startswith("/")
    assert SLASHED == Pin.parse(f"sha256/{encoded}").digest
    assert SLASHED == Pin.parse(f"sha256//{encoded}").digest
    with pytest.raises(PinFormatError):
        Pin.parse(f"sha256///{encoded}")


@pytest.mark.threat("T34")
@given(DIGESTS, st.integers(min_value=1, max_value=3))
def test_a_digest_has_one_spelling(digest: bytes, change: int) -> None:
    """Setting the unused bits of the last character is refused: two texts must not be one pin."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    encoded = base64.b64encode(digest).decode()
    other = alphabet[alphabet.index(encoded[42]) + change]

    assert digest == base64.b64decode(f"{encoded[:42]}{other}=")
    with pytest.raises(PinFormatError, match="not a canonical pin"):
        Pin.parse(f"sha256/{encoded[:42]}{other}=")


@given(st.text())
def test_any_text_is_a_pin_or_a_clear_error(text: str) -> None:
    """Whatever stands after a prefix is read as a pin or refused with a fix, never otherwise."""
    for candidate in (text, f"sha256/{text}", f"cert-sha256/{text}", f'pin-sha256="{text}"'):
        hint: str | None = None
        pin: Pin | None = None
        try:
            pin = Pin.parse(candidate)
        except PinFormatError as error:
            hint = error.hint

        assert hint or pin == Pin.parse(str(pin))


@pytest.mark.threat("T33", "T35")
@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "remove it"),
        (" ", "white space"),
        (f" sha256/{ENCODED}", "white space"),
        (f"sha256/{ENCODED}\n", "white space"),
        (f"sha256/{ENCODED[:20]} {ENCODED[20:]}", "white space"),
        (f"SHA256/{ENCODED}", "lower case"),
        (f"sha256:{ENCODED}", "write sha256/"),
        ("sha256/", "no digest"),
        (f"sha256/{ENCODED[:-1]}", "missing ="),
        (f"sha256/{ENCODED}=", "44 characters"),
        (f"sha256/{ENCODED[:-4]}", "44 characters|has 32 bytes"),
        (f"sha256/{base64.b64encode(DIGEST + b'x').decode()}", "has 32 bytes, this has 33"),
        (f"sha256/{base64.urlsafe_b64encode(b'>' * 32).decode().replace('+', '-')}", "base64"),
        ("sha256/" + "-" * 43 + "=", "URL-safe"),
        (f"sha256/{DIGEST.hex()}", "hexadecimal"),
        (DIGEST.hex(), "what was hashed"),
        (DIGEST.hex(":").upper(), "what was hashed"),
        (ENCODED, "say what was hashed"),
        ("sha1/DmxUShsZuNiqPQsX2Oi9uv2sCnw=", "SHA-1"),
        ("md5/DmxUShsZuNiqPQsX2Oi9uv2sCg==", "MD5"),
        (f"sha512/{base64.b64encode(DIGEST * 2).decode()}", "write sha256/"),
        (f"cert-sha256//{ENCODED}", "44 characters|has 32 bytes"),
        (f'pin-sha256="{ENCODED}', "lower case|write sha256/"),
        (f"sha256/{ENCODED[:43]}\N{FULLWIDTH EQUALS SIGN}", "44 characters"),
        (f"sha256/{ENCODED[:10]}\0{ENCODED[11:]}", "44 characters"),
        ("sha256/" + base64.b64encode(bytes(32)).decode(), "place-holder"),
        ("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "read nothing"),
    ],
)
def test_a_text_that_is_no_pin_is_refused_with_the_fix(text: str, fix: str) -> None:
    """Each usual mistake in a pin is an error whose hint says how to mend it."""
    with pytest.raises(PinFormatError) as caught:
        Pin.parse(text)

    assert caught.value.hint is not None
    assert any(part in caught.value.hint for part in fix.split("|")), caught.value.hint


@pytest.mark.parametrize("text", [DIGEST.hex(), DIGEST.hex().upper(), DIGEST.hex(":").upper()])
def test_hexadecimal_is_read_where_the_kind_is_known(text: str) -> None:
    """Upper case, lower case and colons between the bytes all mean the same digest."""
    assert Pin(PinAlgorithm.CERTIFICATE, DIGEST) == Pin.from_hex(text, PinAlgorithm.CERTIFICATE)


@pytest.mark.parametrize(
    "text",
    ["", DIGEST.hex()[:-2], DIGEST.hex() + "00", "0x" + DIGEST.hex()[2:], DIGEST.hex()[:-1] + "g",
     ":" * 31 + DIGEST.hex(), "\N{FULLWIDTH DIGIT ONE}" * 64, DIGEST.hex(" ")],
)  # fmt: skip
def test_other_hexadecimal_is_refused(text: str) -> None:
    """Anything but 32 bytes of hexadecimal is an error."""
    with pytest.raises(PinFormatError, match="hexadecimal"):
        Pin.from_hex(text, PinAlgorithm.SPKI)


def test_a_pin_is_over_the_bytes_given() -> None:
    """The two constructors hash their input as it stands, and say what it was."""
    assert f"sha256/{ENCODED}" == str(Pin.of_spki(b"a key"))
    assert f"cert-sha256/{ENCODED}" == str(Pin.of_certificate(b"a key"))


@pytest.mark.parametrize("digest", [b"", DIGEST[:31], DIGEST + b"x"])
def test_a_digest_of_another_length_is_refused(digest: bytes) -> None:
    """A pin made in code has 32 bytes as well."""
    with pytest.raises(PinFormatError, match="32 bytes"):
        Pin(PinAlgorithm.SPKI, digest)


@pytest.mark.parametrize(
    "arguments",
    [("sha256", DIGEST), (PinAlgorithm.SPKI, "a" * 32), (PinAlgorithm.SPKI, bytearray(DIGEST))],
)  # fmt: skip
def test_other_types_are_refused(arguments: tuple[PinAlgorithm, bytes]) -> None:
    """Text of 32 characters would match nothing, and so deny nothing in a list of denied keys."""
    with pytest.raises(TypeError, match=r"Pin\.parse"):
        Pin(*arguments)


@given(st.text())
def test_quoted_text_is_harmless(text: str) -> None:
    """Outside text in a message is printable ASCII of bounded length."""
    shown = quoted(text)

    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 10 * 83 + 2
