import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.lab.authorities import new_key
from holdfast.lab.explicit_curve import ORDER, CounterfeitKey, multiple, total


def test_arithmetic_agrees_with_openssl() -> None:
    """A multiple of the standard base point is the public key that OpenSSL has for the number."""
    one = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    for private in (1, 2, 3, 2**200 + 7, ORDER - 1):
        key = ec.derive_private_key(private, ec.SECP256R1()).public_key().public_numbers()
        assert (key.x, key.y) == multiple(private, (one.x, one.y))


def test_infinity() -> None:
    """The order's multiple is the point at infinity, which adds nothing."""
    one = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    point = one.x, one.y

    assert multiple(ORDER, point) is None
    assert point == total(None, point) == total(point, None)


def test_the_counterfeit_has_the_public_key() -> None:
    """The number times the base point is the key of somebody else, and the encoding holds it."""
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    counterfeit = CounterfeitKey.of(numbers.public_key())

    assert (numbers.x, numbers.y) == counterfeit.public
    assert counterfeit.public == multiple(counterfeit.private, counterfeit.base)
    assert counterfeit.spki.endswith(numbers.x.to_bytes(32) + numbers.y.to_bytes(32))


@pytest.mark.parametrize("kind", ["ec-384", "ed25519"])
def test_other_keys(kind: str) -> None:
    """A key that is not on the curve is refused."""
    with pytest.raises(TypeError, match="P-256"):
        CounterfeitKey.of(new_key(kind).public_key())  # type: ignore[arg-type]
