import pytest

from holdfast.errors import PolicyError
from holdfast.formats.command_line import words_of


def test_words_are_those_of_a_shell() -> None:
    """Without quotes and comments."""
    assert ["curl", "a b", "c"] == words_of(b"curl 'a b' c # not this")


@pytest.mark.parametrize(("data", "message"), [(b"'", "command line"), (b"\xff", "UTF-8")])
def test_what_is_no_command_line(data: bytes, message: str) -> None:
    """An open quotation, or no text."""
    with pytest.raises(PolicyError, match=message):
        words_of(data)
