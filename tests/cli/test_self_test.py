import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from holdfast.cli import self_test as module
from holdfast.cli.self_test import self_test
from holdfast.findings.finding import Severity


def test_pins_are_enforced_here() -> None:
    """Both kinds of client are answered with the right pin and refused with the wrong one."""
    answers = list(self_test())

    assert ["self-test, blocking", "self-test, asyncio"] == [answer.name for answer in answers]
    assert ["right pin: answered; wrong pin: refused, 0 bytes sent"] * 2 == [
        answer.detail for answer in answers
    ]
    assert [None, None] == [answer.severity for answer in answers]


def test_context_that_does_not_enforce_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a context that ignores the pins the self-test fails: the server did get the request."""

    def unpinned(_pin: str, anchors: Path) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(anchors))

    monkeypatch.setattr(module, "_context", unpinned)

    answers = list(self_test())

    assert [("HF508", Severity.ERROR)] * 2 == [(answer.rule, answer.severity) for answer in answers]
    assert all("a wrong pin was not refused; the server received" in one.detail for one in answers)


def test_context_that_refuses_everything_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a context that trusts nobody the right pin is not answered, and that fails too."""

    def distrustful(_pin: str, _anchors: Path) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(module, "_context", distrustful)

    answers = list(self_test())

    assert {Severity.ERROR} == {answer.severity for answer in answers}
    assert any("a server with the right key was refused" in one.detail for one in answers)


def test_loopback_without_way_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no connection can be made the self-test fails, instead of breaking off."""

    def nowhere(*_arguments: object, **_options: object) -> None:
        raise OSError("no way")

    monkeypatch.setattr(module, "_SECONDS", 0.05)
    monkeypatch.setattr(socket, "create_connection", nowhere)
    monkeypatch.setattr(asyncio, "open_connection", nowhere)

    answers = list(self_test())

    assert [("HF508", Severity.ERROR)] * 2 == [(answer.rule, answer.severity) for answer in answers]
    assert all("the server on loopback was not reached" in one.detail for one in answers)
