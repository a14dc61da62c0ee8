import pytest

from holdfast.errors import PolicyError
from holdfast.formats.marked_text import put_between_marks, text_of


def test_line_ends_and_the_byte_order_mark_stay() -> None:
    """As the file has them."""
    present = b"\xef\xbb\xbfa\r\n  # holdfast: begin\r\nold\r\n  # holdfast: end\r\nb"

    text = put_between_marks(["new", ""], present, comment="#")

    assert b"\xef\xbb\xbfa\r\n  # holdfast: begin\r\n  new\r\n\r\n  # holdfast: end\r\nb" == text


def test_a_new_file_has_what_belongs_around() -> None:
    """And the marks."""
    text = put_between_marks(["x"], None, comment="//", before=["head"], after=["foot"])

    assert b"head\n// holdfast: begin\nx\n// holdfast: end\nfoot\n" == text


@pytest.mark.parametrize("text", ["", "# holdfast: end\n# holdfast: begin", "# holdfast: begin"])
def test_marks_that_are_not_there(text: str) -> None:
    """Each once, in this order."""
    with pytest.raises(PolicyError, match="where the pins belong"):
        put_between_marks([], text.encode(), comment="#")


def test_what_is_no_text() -> None:
    """Another encoding, or too long."""
    with pytest.raises(PolicyError, match="UTF-8"):
        text_of(b"\xff")
    with pytest.raises(PolicyError, match="more than"):
        text_of(b" " * (17 * 1024 * 1024))
