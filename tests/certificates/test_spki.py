from __future__ import annotations

import random
import shutil
import subprocess
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.spki import bare_spki, chain_certificate, spki_of, spki_of_request
from holdfast.errors import CertificateError
from holdfast.pins.chain import ChainCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

KINDS = ["EC P-256", "EC P-384", "EC P-521", "RSA 2048", "Ed25519", "Ed448"]
# Octets that mean something in a header, which chance would seldom hit.
TELLING = (0x00, 0x01, 0x1F, 0x30, 0x3F, 0x7F, 0x80, 0x81, 0x82, 0x83, 0x84, 0xA0, 0xA3, 0xFF)


def sliced(der: bytes) -> bytes | None:
    """Return what the code under test takes for the key; None: refused."""
    try:
        return spki_of(der)
    except CertificateError:
        return None


def tlv(tag: int, *content: bytes) -> bytes:
    """Encode an element, independently of the code under test."""
    body = b"".join(content)
    size = len(body)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return (
        bytes([tag])
        + (bytes([size]) if size < 128 else bytes([0x80 + len(octets)]) + octets)
        + body
    )


ALGORITHM = tlv(0x30, bytes.fromhex("06032b6570"))
KEY = tlv(0x30, ALGORITHM, tlv(0x03, bytes(33)))
VERSION = bytes.fromhex("a003020102")
BEFORE = bytes.fromhex("020105") + ALGORITHM + bytes.fromhex("3000") * 3
SIGNATURE = ALGORITHM + tlv(0x03, bytes(65))


def framed(*signed: bytes, signature: bytes = SIGNATURE) -> bytes:
    """Return a certificate's frame around these elements."""
    return tlv(0x30, tlv(0x30, *signed), signature)


@pytest.mark.parametrize("kind", KINDS)
def test_it_takes_the_key_of_generated_certificates(
    kind: str,
    keys: dict[str, CertificateIssuerPrivateKeyTypes],
    make_certificate: Callable[..., bytes],
    make_request: Callable[..., bytes],
    rust_spki: Callable[[bytes], bytes | None],
) -> None:
    """For every key type, and fields of every width, the slice is the key that was certified."""
    key = keys[kind].public_key()
    expected = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for number in range(1, 61):
        der = make_certificate(kind, number)
        assert expected == spki_of(der) == rust_spki(der)
    assert expected == spki_of_request(make_request(kind)) == bare_spki(expected)


def test_it_takes_the_key_under_an_rsa_pss_signature(
    make_certificate: Callable[..., bytes],
) -> None:
    """A signature algorithm with parameters changes nothing."""
    assert spki_of(make_certificate("RSA 2048")) == spki_of(make_certificate("RSA 2048", pss=True))


def test_it_agrees_with_rust_on_every_known_certificate(
    known_certificates: tuple[bytes, ...], rust_spki: Callable[[bytes], bytes | None]
) -> None:
    """Whatever `cryptography` parses gives the same bytes here, and is never refused."""
    expected = {der: key for der in known_certificates if (key := rust_spki(der)) is not None}
    assert 600 < len(expected)
    assert expected == {der: sliced(der) for der in expected}


@pytest.mark.threat("T38")
def test_it_agrees_with_openssl_on_every_known_certificate(
    known_certificates: tuple[bytes, ...], openssl_spki: Callable[[bytes], bytes | None]
) -> None:
    """OpenSSL's parser takes the same bytes; only a version that does not exist is refused here."""
    accepted = {der: key for der in known_certificates if (key := openssl_spki(der)) is not None}
    assert 600 < len(accepted)
    others = {der for der, key in accepted.items() if sliced(der) != key}
    assert {None} == {sliced(der) for der in others}
    assert [b"\xa0\x03\x02\x01\x07"] == [der[8:13] for der in others]


@pytest.mark.threat("T42")
@pytest.mark.parametrize(
    "name", ["x509/e-trust.ru.der", "x509/custom/unsupported_subject_public_key_info.pem"]
)
def test_keys_of_unknown_types_have_a_digest(
    name: str, vectors: Path, openssl_spki: Callable[[bytes], bytes | None]
) -> None:
    """A key that `cryptography` cannot load is hashed like any other."""
    data = (vectors / name).read_bytes()
    certificate = (
        x509.load_pem_x509_certificate if b"-----" in data else x509.load_der_x509_certificate
    )(data)
    der = certificate.public_bytes(Encoding.DER)
    assert openssl_spki(der) == spki_of(der)


def mutated(der: bytes, chance: random.Random) -> bytes:
    """Change a few octets, as a fuzzer would: mostly in headers, and lengths with them."""
    octets = bytearray(der)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(chance.choice((len(octets), min(400, len(octets)))))
        match chance.randrange(6):
            case 0:
                octets[at] ^= 1 << chance.randrange(8)
            case 1:
                octets[at] = chance.choice((*TELLING, (octets[at] + 1) % 256, octets[at] - 1 & 255))
            case 2:
                octets.insert(at, chance.choice((*TELLING, chance.randrange(256))))
            case 3:
                del octets[at]
            case 4:
                source = chance.randrange(len(octets))
                octets[at : at + 12] = octets[source : source + chance.randrange(1, 20)]
            case _:
                # A length in a longer form than it needs.
                octets[at + 1 : at + 2] = b"\x81" + octets[at + 1 : at + 2]
    return bytes(octets)


def nested(der: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the signed part, and make the lengths around it fit again."""
    header = 4
    signed = der[header:]
    size = 4 + int.from_bytes(signed[2:4], "big")
    return tlv(0x30, tlv(0x30, change(signed[4:size])), signed[size:])


def mutants(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Return mutants of these certificates: half of them as such, half with lengths that fit."""
    chance = random.Random(20261101)
    for index in range(count):
        der = chance.choice(seeds)
        if index % 2:
            yield mutated(der, chance)
        else:
            yield nested(der, lambda signed: mutated(signed, chance))


def judge(
    ders: Iterator[bytes], others: list[Callable[[bytes], bytes | None]]
) -> tuple[int, list[bytes]]:
    """Count the mutants that are read here and elsewhere, and collect those read differently."""
    agreed, different = 0, []
    for der in ders:
        ours = sliced(der)
        theirs = {key for read in others if ours is not None and (key := read(der)) is not None}
        agreed += theirs == {ours}
        if theirs - {ours}:
            different.append(der)
    return agreed, different


@pytest.fixture(scope="session")
def seeds(
    make_certificate: Callable[..., bytes], known_certificates: tuple[bytes, ...]
) -> list[bytes]:
    """Certificates with long-form outer lengths, for the mutations to start from."""
    made = [make_certificate(kind, number) for kind in KINDS for number in (1, 2, 5, 38)]
    known = [der for der in known_certificates if sliced(der) and len(der) < 1500]
    return [der for der in (*made, *known) if der[1] == der[5] == 0x82]


@pytest.mark.threat("T40")
def test_no_mutant_gives_another_key(
    seeds: list[bytes],
    rust_spki: Callable[[bytes], bytes | None],
    openssl_spki: Callable[[bytes], bytes | None],
) -> None:
    """Of ten thousand damaged certificates each gives the same bytes as elsewhere, or a refusal."""
    agreed, different = judge(mutants(seeds, 10_000), [rust_spki, openssl_spki])
    assert [] == different
    assert 1000 < agreed


@pytest.mark.full
@pytest.mark.timeout(300)
def test_no_mutant_of_very_many_gives_another_key(
    seeds: list[bytes],
    rust_spki: Callable[[bytes], bytes | None],
    openssl_spki: Callable[[bytes], bytes | None],
) -> None:
    """The same holds for half a million."""
    agreed, different = judge(mutants(seeds, 500_000), [rust_spki, openssl_spki])
    assert [] == different
    assert 50_000 < agreed


@given(data=st.data())
def test_no_edit_that_hypothesis_finds_gives_another_key(
    data: st.DataObject,
    seeds: list[bytes],
    rust_spki: Callable[[bytes], bytes | None],
    openssl_spki: Callable[[bytes], bytes | None],
) -> None:
    """Octets replaced, inserted, deleted or cut off: the same bytes as elsewhere, or a refusal."""
    der = data.draw(st.sampled_from(seeds))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(der)))
        removed = data.draw(st.sampled_from((0, 1, 2, len(der))))
        der = der[:at] + data.draw(st.binary(max_size=3)) + der[at + removed :]
    ours = sliced(der)
    if ours is not None:
        assert rust_spki(der) in {None, ours}
        assert openssl_spki(der) in {None, ours}


def pubkey_by_command(der: bytes) -> bytes | None:
    """Return the key that `openssl x509 -pubkey` prints; None: refused."""
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-pubkey"]
    ran = subprocess.run(command, input=der, capture_output=True, check=False, timeout=20)
    if ran.returncode:
        return None
    convert = ["openssl", "pkey", "-pubin", "-outform", "DER"]
    return subprocess.run(convert, input=ran.stdout, capture_output=True, check=True).stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is missing")
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(40, id="40"),
        pytest.param(1500, marks=[pytest.mark.full, pytest.mark.timeout(300)]),
    ],
)
def test_it_agrees_with_the_openssl_command(
    count: int, make_certificate: Callable[..., bytes], seeds: list[bytes]
) -> None:
    """`openssl x509 -pubkey` prints the same key, for good certificates and for mutants."""
    made = [make_certificate(kind, number) for kind in KINDS for number in (1, 2)]
    assert [spki_of(der) for der in made] == [pubkey_by_command(der) for der in made]
    chosen = [der for der in made for _ in range(2)]
    for der in mutants(chosen, count):
        ours = sliced(der)
        assert ours is None or pubkey_by_command(der) in {None, ours}


def test_both_digests_are_of_the_bytes_as_they_stand(
    make_certificate: Callable[..., bytes],
) -> None:
    """`chain_certificate` keeps the DER, and hashes it and the key in it."""
    der = make_certificate()
    expected = ChainCertificate(der, sha256(spki_of(der)).digest(), sha256(der).digest())
    assert expected == chain_certificate(der)


@pytest.mark.threat("T39")
def test_each_encoding_of_a_key_has_its_own_pin() -> None:
    """One point, plain, compressed and hybrid (RFC 5480 section 2.2): other bytes, another pin."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    numbers = key.public_numbers()
    x, y, odd = numbers.x.to_bytes(32), numbers.y.to_bytes(32), numbers.y & 1
    algorithm = tlv(0x30, bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"))
    points = (b"\4" + x + y, bytes([2 + odd]) + x, bytes([6 + odd]) + x + y)
    keys = [tlv(0x30, algorithm, tlv(0x03, b"\0", point)) for point in points]

    pins = [chain_certificate(framed(VERSION, BEFORE, one)).spki_sha256 for one in keys]
    assert keys[0] == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert [sha256(one).digest() for one in keys] == pins
    assert 3 == len(set(pins))


@pytest.mark.parametrize(
    "der",
    [
        framed(BEFORE, KEY),
        framed(bytes.fromhex("a003020100"), BEFORE, KEY),
        framed(bytes.fromhex("a003020101"), BEFORE, KEY, tlv(0x81, b"\0\1"), tlv(0x82, b"\0\1")),
        framed(VERSION, BEFORE, KEY, tlv(0x82, b"\0\1")),
        framed(VERSION, BEFORE, KEY, tlv(0x81, b"\0\1"), tlv(0xA3, bytes(200))),
        framed(VERSION, BEFORE, KEY, tlv(0xA3, bytes(300))),
    ],
)
def test_every_optional_element_may_be_there_or_not(der: bytes) -> None:
    """Versions 1 to 3, unique identifiers and extensions do not move the key."""
    assert KEY == spki_of(der)


ODD_ALGORITHM = bytes.fromhex("06032b6570")
REFUSED = {
    "nothing": b"",
    "data after the certificate": framed(VERSION, BEFORE, KEY) + b"\0",
    "a certificate cut short": framed(VERSION, BEFORE, KEY)[:-1],
    "an outer length that ends within the signature": b"\x30\x81"
    + bytes([len(framed(VERSION, BEFORE, KEY)) - 4])
    + framed(VERSION, BEFORE, KEY)[3:],
    "an element after the signature": framed(VERSION, BEFORE, KEY, signature=SIGNATURE + b"\5\0"),
    "no signature": framed(VERSION, BEFORE, KEY, signature=ALGORITHM),
    "a fourth version": framed(bytes.fromhex("a003020103"), BEFORE, KEY),
    "a version of two octets": framed(bytes.fromhex("a00402020002"), BEFORE, KEY),
    "two versions": framed(VERSION, VERSION, BEFORE, KEY),
    "a version with something after it": framed(bytes.fromhex("a0050201020500"), BEFORE, KEY),
    "no serial number": framed(VERSION, BEFORE[3:], KEY),
    "an element too many": framed(VERSION, BEFORE, b"\x31\0", KEY),
    "no key": framed(VERSION, BEFORE),
    "extensions before the key": framed(VERSION, BEFORE, tlv(0xA3, b""), KEY),
    "extensions twice": framed(VERSION, BEFORE, KEY, tlv(0xA3, b""), tlv(0xA3, b"")),
    "extensions before unique identifiers": framed(BEFORE, KEY, tlv(0xA3, b""), tlv(0x81, b"\0")),
    "an unknown element after the key": framed(VERSION, BEFORE, KEY, tlv(0xA4, b"")),
    "a second key": framed(VERSION, BEFORE, KEY, KEY),
    "extensions past the signed part": tlv(
        0x30, tlv(0x30, VERSION, BEFORE, KEY, b"\xa3\x05"), SIGNATURE
    ),
    "a key past the signed part": tlv(0x30, tlv(0x30, VERSION, BEFORE, KEY[:-3]), SIGNATURE),
    "a key in high-tag-number form": framed(VERSION, BEFORE, b"\x3f\x10" + KEY[1:]),
    "a key of indefinite length": framed(VERSION, BEFORE, b"\x30\x80" + KEY[2:] + b"\0\0"),
    "a key in a longer length than needed": framed(VERSION, BEFORE, b"\x30\x81" + KEY[1:]),
    "a key with something after it": framed(BEFORE, tlv(0x30, KEY[2:], b"\5\0")),
    "a key without bits": framed(BEFORE, tlv(0x30, ALGORITHM)),
    "a key with an empty bit string": framed(BEFORE, tlv(0x30, ALGORITHM, b"\3\0")),
    "a key with unused bits": framed(BEFORE, tlv(0x30, ALGORITHM, b"\3\2\7\xff")),
    "a key in a constructed bit string": framed(BEFORE, tlv(0x30, ALGORITHM, b"\x23\4\3\2\0\1")),
    "an algorithm without an identifier": framed(BEFORE, tlv(0x30, b"\x30\0", b"\3\2\0\1")),
    "a BER identifier": framed(BEFORE, tlv(0x30, b"\x30\6\6\x81\3\x2b\x65\x70", b"\3\2\0\1")),
    "two parameters": framed(BEFORE, tlv(0x30, tlv(0x30, ODD_ALGORITHM, b"\5\0\5\0"), b"\3\2\0\1")),
    "BER parameters": framed(BEFORE, tlv(0x30, tlv(0x30, ODD_ALGORITHM, b"\5\x81\0"), b"\3\2\0\1")),
    "parameters in a bit string": framed(
        BEFORE, tlv(0x30, tlv(0x30, ODD_ALGORITHM, b"\3\2\7\xff"), b"\3\2\0\1")
    ),
    "parameters in a constructed string": framed(
        BEFORE, tlv(0x30, tlv(0x30, ODD_ALGORITHM, b"\x24\4\4\2\0\0"), b"\3\2\0\1")
    ),
    "parameters in high-tag-number form": framed(
        BEFORE, tlv(0x30, tlv(0x30, ODD_ALGORITHM, b"\x1f\1\1"), b"\3\2\0\1")
    ),
}


@pytest.mark.threat("T40")
@pytest.mark.parametrize("der", REFUSED.values(), ids=REFUSED)
def test_each_deviation_is_refused(der: bytes) -> None:
    """What another reader could take differently, or not at all, is refused."""
    with pytest.raises(CertificateError, match="strict DER"):
        spki_of(der)


@pytest.mark.parametrize("name", ["ec_sha256.der", "rsa_sha256.der", "san_rsa_sha1.der"])
def test_it_takes_the_key_of_known_requests(name: str, vectors: Path) -> None:
    """For requests too, the slice is the key that `cryptography` finds."""
    der = (vectors / "x509" / "requests" / name).read_bytes()
    key = x509.load_der_x509_csr(der).public_key()
    expected = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert expected == spki_of_request(der)


def test_requests_and_certificates_and_keys_are_not_mistaken_for_each_other(
    make_certificate: Callable[..., bytes], make_request: Callable[..., bytes]
) -> None:
    """Each reader takes its own kind, and refuses the other two."""
    certificate, request = make_certificate(), make_request()
    kinds = {spki_of: certificate, spki_of_request: request, bare_spki: spki_of(certificate)}
    for reader in kinds:
        for other, der in kinds.items():
            if reader is other:
                assert bare_spki(spki_of(certificate)) == reader(der)
            else:
                with pytest.raises(CertificateError):
                    reader(der)


@pytest.mark.parametrize("trailer", [b"\0", b"\x30\0"])
def test_nothing_may_follow_a_request_or_a_key(
    trailer: bytes, make_request: Callable[..., bytes]
) -> None:
    """What stands after the outermost element is refused."""
    for reader, der in ((spki_of_request, make_request()), (bare_spki, KEY)):
        with pytest.raises(CertificateError):
            reader(der + trailer)


@pytest.mark.parametrize("parameters", ["", "0500", "06032b6570", "04020102", "3003020101"])
def test_parameters_of_the_known_types_belong_to_the_key(parameters: str) -> None:
    """An algorithm that nobody knows is taken with parameters of any type that keys have."""
    algorithm = tlv(0x30, bytes.fromhex("06042a030405"), bytes.fromhex(parameters))
    key = tlv(0x30, algorithm, tlv(0x03, bytes(9)))
    assert key == spki_of(framed(VERSION, BEFORE, key))
