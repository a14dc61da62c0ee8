from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HostNameError
from holdfast.pins.endpoint import DEFAULT_PORTS, Endpoint
from holdfast.pins.host_pattern import canonical_host

ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from(sorted(DEFAULT_PORTS)),
    st.one_of(
        st.sampled_from(["localhost", "mx.example.com", "xn--bcher-kva.example"]),
        st.ip_addresses().map(lambda address: canonical_host(str(address))),
    ),
    st.integers(min_value=1, max_value=65535),
)


@given(ENDPOINTS)
def test_text_gives_the_endpoint_back(endpoint: Endpoint) -> None:
    """Parsing the text of an endpoint returns an equal endpoint."""
    assert endpoint == Endpoint.parse(str(endpoint))


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_a_clear_error(text: str) -> None:
    """Whatever follows a scheme is read as host and port, or refused with a fix."""
    hint: str | None = None
    endpoint: Endpoint | None = None
    try:
        endpoint = Endpoint.parse(f"https://{text}")
    except HostNameError as error:
        hint = error.hint

    assert hint or endpoint == Endpoint.parse(str(endpoint))


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("example.com", Endpoint("https", "example.com", 443)),
        ("Example.COM.:8443", Endpoint("https", "example.com", 8443)),
        ("https://example.com/", Endpoint("https", "example.com", 443)),
        ("HTTPS://example.com", Endpoint("https", "example.com", 443)),
        ("Smtp://mx.example.com", Endpoint("smtp", "mx.example.com", 25)),
        ("smtp://mx.example.com", Endpoint("smtp", "mx.example.com", 25)),
        ("smtp://mx.example.com:587", Endpoint("smtp", "mx.example.com", 587)),
        ("::1", Endpoint("https", "::1", 443)),
        ("[::1]", Endpoint("https", "::1", 443)),
        ("imap://[::1]:1143", Endpoint("imap", "::1", 1143)),
    ],
)
def test_what_is_left_out_has_its_usual_value(text: str, endpoint: Endpoint) -> None:
    """The scheme is https and the port the scheme's own unless they are written."""
    assert endpoint == Endpoint.parse(text)


def test_the_caller_chooses_the_scheme_that_is_left_out() -> None:
    """A command that speaks SMTP reads `mx.example.com` as an SMTP endpoint."""
    assert Endpoint("smtp", "mx", 25) == Endpoint.parse("mx", default_scheme="smtp")


@pytest.mark.parametrize(
    "text",
    [
        "", "https://", "gopher://example.com", "\N{KELVIN SIGN}ttps://a", "https://example.com:",
        "https://example.com:0", "https://example.com:65536", "https://example.com:+1",
        "https://example.com:-1", "https://example.com:4 3", "https://example.com:1e2",
        "https://example.com:\N{FULLWIDTH DIGIT ONE}", "https://example.com:" + "9" * 5000,
        "https://user@example.com", "https://example.com/path", "https://example.com//",
        "https://*.example.com", "[::1]:", "[::1]x:443", "[::1", "[example.com]:443", "a:b:c",
    ],
    ids=lambda text: ascii(text[:30]),
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    """A scheme that cannot be probed, a port out of range or no host is an error."""
    with pytest.raises(HostNameError) as caught:
        Endpoint.parse(text)

    assert caught.value.hint


@pytest.mark.threat("T17")
@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@example.com",
        "user:hunter2@example.com:8443",
        "gopher://hunter2@example.com",
        "https://example.com:443@hunter2",
    ],
)
def test_user_information_is_not_repeated(text: str) -> None:
    """A password in front of the host is refused, and neither message nor hint shows it."""
    with pytest.raises(HostNameError, match="an endpoint has no user information") as caught:
        Endpoint.parse(text)

    assert "hunter2" not in f"{caught.value} {caught.value.message} {caught.value.hint}"
