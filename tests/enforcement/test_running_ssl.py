"""Holds the gate against the `ssl` module of the Python that runs this.

A new Python may add a method that reaches OpenSSL in a way of its own, as 3.15 did with `sendfile`.
"""

import ast
import inspect
import ssl
from collections.abc import Iterator

import pytest

from holdfast.enforcement.gate import Gate
from holdfast.enforcement.pinned_connections import PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.sealed_object import HARMLESS

PAIRS = [(ssl.SSLSocket, PinnedSSLSocket), (ssl.SSLObject, PinnedSSLObject)]
each_pair = pytest.mark.parametrize(("stock", "gated"), PAIRS)

# Methods of SSLSocket that handle the TLS layer without I/O on it, and why they need no gate.
NOT_GATED = {
    "_create": "makes the socket; `_sslobj` is set through the gate",
    "_real_connect": "makes the TLS layer through the gate, and calls do_handshake()",
    "_real_close": "drops the TLS layer together with the descriptor",
}

# What only the stand-in for OpenSSL's object gates: nobody needs it before the verdict.
ASKED_ELSEWHERE = {"verify_client_post_handshake"}


def _functions(kind: type) -> Iterator[tuple[str, ast.FunctionDef]]:
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node


def _is_overridden(gated: type, name: str) -> bool:
    return name in vars(gated) or name in vars(Gate)


def _is_sslobj(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "_sslobj"


def _asked_of_openssl(function: ast.FunctionDef) -> set[str]:
    """Return the attributes of `_sslobj` that a method uses."""
    return {
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and _is_sslobj(node.value)
    }


@each_pair
def test_each_use_of_openssl_is_gated_or_harmless(stock: type, gated: type) -> None:
    """What a method that is not overridden asks of OpenSSL's object is known to be harmless."""
    asked = {
        name: _asked_of_openssl(function) - HARMLESS - ASKED_ELSEWHERE
        for name, function in _functions(stock)
        if not _is_overridden(gated, name)
    }

    assert {} == {name: methods for name, methods in asked.items() if methods}


@each_pair
def test_each_way_back_to_plain_text_is_gated(stock: type, gated: type) -> None:
    """A method that looks whether there is a TLS layer, and calls `socket`'s if not, is gated."""
    plain = {
        name
        for name, function in _functions(stock)
        if any(map(_is_sslobj, ast.walk(function)))
        and any(isinstance(node, ast.Name) and node.id == "super" for node in ast.walk(function))
        and not _is_overridden(gated, name)
    }

    assert plain <= NOT_GATED.keys()


@each_pair
def test_the_source_was_understood(stock: type, gated: type) -> None:
    """The tests above have found the methods that they are about."""
    asked = {name: _asked_of_openssl(function) for name, function in _functions(stock)}

    assert "read" in asked["read"]
    assert "write" in asked["write"]
    assert "do_handshake" in asked["do_handshake"]
    assert gated is not stock
