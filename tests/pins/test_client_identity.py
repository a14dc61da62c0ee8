import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HostNameError
from holdfast.pins.client_identity import ClientIdentity

_SEGMENTS = st.text("aZ0.-_", min_size=1, max_size=4).filter(lambda text: text not in (".", ".."))
_DOMAINS = st.text("ab0.-_", min_size=1, max_size=5)
_SPIFFE_IDS = st.builds(
    lambda domain, path: "/".join([f"spiffe://{domain}", *path]),
    _DOMAINS,
    st.lists(_SEGMENTS, max_size=3),
)


@given(_SPIFFE_IDS)
def test_a_spiffe_id_is_its_own_text(text: str) -> None:
    """What follows the specification is taken as it stands, and lies in its trust domain."""
    identity = ClientIdentity(text)

    assert text == str(identity)
    assert "/".join(text.split("/")[:3]) == str(identity.trust_domain)


@given(st.text("spifeSPIFE:/.ab%?#@ *é\0", max_size=30) | st.text(max_size=30))
def test_any_text_is_an_identity_or_a_clear_error(text: str) -> None:
    """Whatever is written there has one form in ASCII, or is refused with a fix."""
    result, hint = "", None
    try:
        result = str(ClientIdentity(text))
    except HostNameError as error:
        hint = error.hint

    assert hint or (result.isascii() and result == str(ClientIdentity(result)))


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://",
        "spiffe:///payments",
        "SPIFFE://example.org/payments",
        "spiffe://Example.org/payments",
        "spiffe://example.org:8443/payments",
        "spiffe://user@example.org/payments",
        "spiffe://example.org/",
        "spiffe://example.org/payments/",
        "spiffe://example.org//payments",
        "spiffe://example.org/./payments",
        "spiffe://example.org/../payments",
        "spiffe://example.org/payments?role=admin",
        "spiffe://example.org/payments#admin",
        "spiffe://example.org/pay%6Dents",
        "spiffe://example.org/pay ments",
        "spiffe://example.org/payments\0",
        "spiffe://exämple.org/payments",
        "spiffe://" + "a" * 256,
        "spiffe://example.org/" + "a" * 2048,
        "https://example.org/payments",
        "*.example.org",
        "192.0.2.1",
        "::1",
        "partner.example:443",
        "",
    ],
)
def test_what_is_no_identity(text: str) -> None:
    """Everything that two readers could take for two clients is refused, with its fix."""
    with pytest.raises(HostNameError, match="is not a client") as caught:
        ClientIdentity(text)

    assert caught.value.hint


@pytest.mark.parametrize("text", ["Partner.Example", "partner.example."])
def test_a_dns_name_is_canonical(text: str) -> None:
    """A DNS name has the one form that hosts have, and no trust domain."""
    assert "partner.example" == str(ClientIdentity(text))
    assert ClientIdentity(text).trust_domain is None


@pytest.mark.parametrize(
    ("expected", "entry", "client"),
    [
        (True, "spiffe://example.org/payments", "spiffe://example.org/payments"),
        (False, "spiffe://example.org/payments", "spiffe://example.org/payments/mysql"),
        (False, "spiffe://example.org/payments", "spiffe://example.org/Payments"),
        (True, "spiffe://example.org", "spiffe://example.org/payments"),
        (True, "spiffe://example.org", "spiffe://example.org"),
        (False, "spiffe://example.org", "spiffe://example.org.evil/payments"),
        (False, "spiffe://example.org", "spiffe://sub.example.org/payments"),
        (False, "example.org", "spiffe://example.org/payments"),
        (True, "partner.example", "PARTNER.example"),
        (False, "partner.example", "www.partner.example"),
    ],
)
def test_what_an_entry_covers(expected: bool, entry: str, client: str) -> None:
    """An identity covers itself, a trust domain everything in it, and nothing covers a part."""
    assert expected is ClientIdentity(entry).covers(ClientIdentity(client))
