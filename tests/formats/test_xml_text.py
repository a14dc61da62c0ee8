import pytest

from holdfast.errors import PolicyError
from holdfast.formats.xml_text import comments, elements, parse, place_of, serialize


def test_what_stands_before_and_after_the_root_stays() -> None:
    """Declaration, comments and white space, byte by byte."""
    before = b'\xef\xbb\xbf<?xml version="1.0"?>\n\n<!-- <a> -->\n<?keep me?>\n'
    text = before + b"<a>\n<b/></a>\n<!-- end -->\n"

    assert text == serialize(parse(text, "a"), text)


def test_another_encoding_stays() -> None:
    """As the declaration says."""
    text = '<?xml version="1.0" encoding="utf-16"?><a>\u00e9</a>'.encode("utf-16")

    again = serialize(parse(text, "a"), text)

    assert "\u00e9" == parse(again, "a").text
    assert b"\xff\xfe" == again[:2]


def test_a_new_document_is_declared() -> None:
    """In UTF-8."""
    text = serialize(parse(b"<a/>", "a"), None)

    assert b'<?xml version="1.0" encoding="utf-8"?>\n<a/>\n' == text


def test_elements_and_comments_are_told_apart() -> None:
    """And an element knows its line."""
    root = parse(b"<a><!-- c -->\n<b/><d/></a>", "a")

    assert ["b"] == [one.tag for one in elements(root, "b")]
    assert [" c "] == [one.text for one in comments(root)]
    assert "line 2, <b>" == place_of(elements(root, "b")[0])


def test_entities_are_not_expanded() -> None:
    """Nor is a document type taken at all: with it a file could be read."""
    bomb = b"<!DOCTYPE a [<!ENTITY x 'y'>" + b"<!ENTITY z '&x;&x;'>" * 2 + b"]><a>&z;</a>"
    with pytest.raises(PolicyError, match="document type"):
        parse(bomb, "a")
