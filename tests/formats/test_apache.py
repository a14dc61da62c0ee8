import pytest

from holdfast.errors import PolicyError
from holdfast.formats.apache import FORMAT
from holdfast.formats.registry import format_of
from tests.formats.test_round_trip import ONE, POLICY, write


def test_a_file_is_recognized() -> None:
    """By the class; two patterns stand for what a host and one label below it are."""
    text = write(FORMAT, POLICY)

    assert FORMAT is format_of("Client.java", text)
    assert b'.add("pay.example.com", "sha256/' in text
    assert b'.add("*.pay.example.com", "sha256/' in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (f'.add("**.a.test", "{ONE}")', "any depth"),
        (f'.add("*.com", "{ONE}")', "too much"),
        ('.add("a.test")', "no pin"),
        ('.add("a test", "x")', "host"),
    ],
)
def test_what_httpclient_refuses(call: str, message: str) -> None:
    """Told with the line."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(call.encode())
