"""XML read safely and written back with what it held: comments, order and white space.

1. No document type: with it go entities that expand, and files and addresses that are fetched.
2. Sizes and depth are libxml2's own limits (256 levels, 10 MB of one text), within 4 MiB.
"""

from __future__ import annotations

from io import BytesIO

from lxml import etree

from holdfast.errors import PolicyError, Problem

__all__ = ["comments", "elements", "parse", "place_of", "serialize"]

_LIMIT = 16 * 1024 * 1024  # bytes
_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ASCII_BASED = {"UTF-8", "ASCII", "US-ASCII"}


def parse(data: bytes, root: str) -> etree._Element:
    """Return the root element of a document.

    Args:
        data: The text.
        root: What the root element is called.

    Raises:
        PolicyError: It is no XML, too long, has a document type, or another root.
    """
    if len(data) > _LIMIT:
        raise _problem("", f"the file has more than {_LIMIT} bytes", "is it the right one?")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _problem("", f"this is not XML: {error}", "mend it there") from None
    if element.getroottree().docinfo.internalDTD is not None:
        raise _problem("", "the file has a document type", "remove <!DOCTYPE ...>")
    if element.tag != root:
        raise _problem("", f"the root element is <{element.tag}>", f"write <{root}>")
    return element


def elements(parent: etree._Element, *tags: str) -> list[etree._Element]:
    """Return the children with one of these tags; comments have none."""
    return [child for child in parent if child.tag in tags]


def comments(parent: etree._Element) -> list[etree._Element]:
    """Return the children that are comments."""
    return list(parent.iterchildren(etree.Comment))


def place_of(element: etree._Element) -> str:
    """Return where an element stands, for a message."""
    return f"line {element.sourceline}, <{element.tag}>"


def serialize(root: etree._Element, present: bytes | None) -> bytes:
    """Return a document as text, with what stands before its root as it was.

    Args:
        root: Of the document.
        present: The text that it was read from; None for a new one.
    """
    tree = root.getroottree()
    encoding = tree.docinfo.encoding or "UTF-8"
    if present is None:
        before = _DECLARATION
    elif encoding.upper() in _ASCII_BASED:
        before = _before_root(present)
    else:  # what stands before the root cannot be told apart byte by byte
        written = BytesIO()
        tree.write(written, encoding=encoding, xml_declaration=True)
        return written.getvalue()
    after = (etree.tostring(one, with_tail=False) for one in root.itersiblings())
    text = etree.tostring(root, encoding="utf-8", with_tail=False)
    return before + b"\n".join([text, *after]) + b"\n"


def _before_root(text: bytes) -> bytes:
    """Return the declaration, comments and white space before the root element."""
    place = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
    while True:
        place = len(text) - len(text[place:].lstrip())
        for start, end in ((b"<?", b"?>"), (b"<!--", b"-->")):
            if text.startswith(start, place):
                place = text.index(end, place) + len(end)
                break
        else:
            return text[:place]


def _problem(place: str, message: str, fix: str) -> PolicyError:
    return PolicyError([Problem(place, message, fix)])
