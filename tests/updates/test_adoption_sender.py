"""Reports of adoption, to a real server with TLS."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.errors import UpdateError
from holdfast.lab.authorities import Authority
from holdfast.updates.adoption import Adoption, Report, installation_name, report_from_bytes
from holdfast.updates.adoption_sender import AdoptionSender
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.freshness import State
from holdfast.updates.in_force import InForce
from tests.updates.origin import Answer, Origin, sending
from tests.updates.seeded import policy
from tests.updates.signed_repository import NOW

KEY = b"k" * 32
INSTALLATION = b"installation: 16"
HOUR = timedelta(hours=1)


@dataclass
class Standing:
    """What a sender looks at in a client."""

    in_force: InForce = field(
        default_factory=lambda: InForce(policy=policy(), epoch=1, serial=7, is_candidate=True)
    )
    state: State = State.FRESH
    installation: bytes = INSTALLATION
    now: datetime = NOW


@pytest.fixture
def authority() -> Authority:
    """The CA of the collector."""
    return Authority.new("CA of the collector")


@pytest.fixture
def collector(authority: Authority) -> Iterator[Origin]:
    """A server that takes reports."""
    with Origin({}, authority.issue("localhost")) as origin:
        yield origin


@pytest.fixture
def channel(authority: Authority, tmp_path: Path) -> VerifiedChannel:
    """The way there."""
    (tmp_path / "ca.pem").write_text(authority.pem)
    return VerifiedChannel("localhost", public_anchors=tmp_path / "ca.pem")


Sender = Callable[..., AdoptionSender]


@pytest.fixture
def sender(collector: Origin, channel: VerifiedChannel, tmp_path: Path) -> Sender:
    """Return a function that makes the sender of one process, always with the same cache."""

    def make(application: str = "shop", cache: Path = tmp_path / "cache") -> AdoptionSender:
        adoption = Adoption(url=f"{collector.url}/adoption", application=application, key=KEY)
        return AdoptionSender(adoption, Cache(cache), channel, deadline=5)

    return make


def _note(one: AdoptionSender, **changes: Any) -> None:  # noqa: ANN401
    """Let a sender look at a client, and wait until it is done."""
    one.note(cast("UpdateClient", replace(Standing(), **changes)))
    if one._thread is not None:
        one._thread.join(10)
        assert not one._thread.is_alive()


def _reports(collector: Origin) -> list[Report]:
    """Return what the collector has got, checked as it has to."""
    return [
        report_from_bytes(
            body,
            headers["Holdfast-Signature"],
            {"shop": [KEY], "bank": [KEY]},
            datetime.fromisoformat(json.loads(body)["sent"]),
        )
        for _, headers, body in collector.posts
    ]


def test_a_report_reaches_the_collector(collector: Origin, sender: Sender) -> None:
    """It says what is in force, by whom, and nothing of the installation value."""
    _note(sender())

    [(path, headers, body)] = collector.posts
    assert ("adoption", "application/json") == (path, headers["content-type"])
    assert INSTALLATION not in body
    assert INSTALLATION.hex().encode() not in body
    assert [
        Report(
            application="shop",
            installation=installation_name(INSTALLATION, "shop", NOW),
            epoch=1,
            serial=7,
            candidate=True,
            state=State.FRESH,
            sent=NOW,
        )
    ] == _reports(collector)


def test_it_is_told_when_it_changes_and_else_once_a_day(collector: Origin, sender: Sender) -> None:
    """Of many refreshes, most tell nothing; a clock that was set back does not silence it."""
    one = sender()
    changes = InForce(policy=policy(), epoch=1, serial=8)
    _note(one)
    for hours in range(1, 24):
        _note(one, now=NOW + hours * HOUR)
    _note(one, now=NOW + 23 * HOUR, in_force=changes)
    _note(one, now=NOW + 23 * HOUR, in_force=replace(changes, is_candidate=True))
    _note(one, now=NOW + 47 * HOUR, in_force=replace(changes, is_candidate=True))
    _note(one, now=NOW - 47 * HOUR, in_force=replace(changes, is_candidate=True))

    found = [(one.sent - NOW, one.serial, one.candidate) for one in _reports(collector)]
    assert [
        (0 * HOUR, 7, True),
        (23 * HOUR, 8, False),
        (23 * HOUR, 8, True),
        (47 * HOUR, 8, True),
        (-47 * HOUR, 8, True),
    ] == found


def test_processes_that_share_a_cache_are_one_installation(
    collector: Origin, sender: Sender
) -> None:
    """One of them tells, under one name; another application with the same cache tells too."""
    for _ in range(3):
        _note(sender())
    _note(sender(), now=NOW + 25 * HOUR, installation=b"of another proc.")
    _note(sender("bank"))

    reports = _reports(collector)
    assert ["shop", "shop", "bank"] == [report.application for report in reports]
    assert {installation_name(INSTALLATION, "shop", NOW)} == {
        report.installation for report in reports[:2]
    }
    assert reports[2].installation not in {report.installation for report in reports[:2]}


def test_without_a_cache_each_process_tells(
    collector: Origin, sender: Sender, tmp_path: Path
) -> None:
    """What cannot be kept is remembered by the process."""
    (tmp_path / "file").write_text("no folder")
    one = sender(cache=tmp_path / "file")
    for _ in range(3):
        _note(one)

    assert [installation_name(INSTALLATION, "shop", NOW)] == [
        report.installation for report in _reports(collector)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        sending(b"", status=500),
        sending(b"", status=302, location="https://localhost/elsewhere"),
        sending(b"x", content_encoding="gzip"),
        lambda request: request.connection.close(),
    ],
    ids=["error", "redirect", "encoding", "cut"],
)
def test_a_failure_is_told_once_and_dropped(
    collector: Origin, sender: Sender, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """One attempt, no redirect followed; the next one comes when it is due, and works."""
    collector.answers["adoption"] = answer
    one = sender()
    with caplog.at_level(logging.DEBUG, "holdfast.updates"):
        for day in range(3):
            _note(one, now=NOW + day * 24 * HOUR)
            _note(one, now=NOW + day * 24 * HOUR + HOUR)
    told = [record.levelname for record in caplog.records if "not told" in record.message]
    assert 3 == len(collector.posts)
    assert [] == collector.requests
    assert ["INFO", "DEBUG", "DEBUG"] == told

    collector.answers.clear()
    _note(one, now=NOW + 72 * HOUR)
    assert 4 == len(collector.posts)
    assert not one._has_failed


def test_a_collector_that_does_not_answer_is_in_no_ones_way(
    collector: Origin, channel: VerifiedChannel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who notes returns at once, no second report waits behind it, and the deadline ends it."""
    collector.answers["adoption"] = collector.drip(b"x", b"HTTP/1.1 200 OK\r\nx-slow: ")
    adoption = Adoption(url=f"{collector.url}/adoption", application="shop", key=KEY)
    one = AdoptionSender(adoption, Cache(tmp_path / "cache"), channel, deadline=0.5)

    one.note(cast("UpdateClient", Standing()))
    first = one._thread
    one.note(cast("UpdateClient", Standing(now=NOW + 25 * HOUR)))

    assert first is not None
    assert first is one._thread
    assert first.daemon
    assert threading.current_thread() is not first
    with caplog.at_level(logging.INFO, "holdfast.updates"):
        first.join(10)
    assert "took more than 0.5 s" in caplog.text
    assert 1 == len(collector.posts)


def test_a_stranger_in_the_collectors_place_learns_nothing(
    channel: VerifiedChannel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The way is verified: without the right certificate no byte of a report leaves."""
    stranger = Authority.new("another CA")
    with Origin({}, stranger.issue("localhost")) as other:
        adoption = Adoption(url=f"{other.url}/adoption", application="shop", key=KEY)
        one = AdoptionSender(adoption, Cache(tmp_path / "cache"), channel)
        with caplog.at_level(logging.INFO, "holdfast.updates"):
            _note(one)

    assert [] == other.posts
    assert "certificate verify failed" in caplog.text


def test_no_thread_is_no_report(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While an interpreter ends there are none; the refresh goes on."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with caplog.at_level(logging.INFO, "holdfast.updates"):
        _note(sender())

    assert "can't start new thread" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "https://localhost",
        "https://localhost/",
        "https://localhost/adoption/",
        "https://localhost/adoption?x=1",
        "https://localhost/adoption#x",
        "https://user@localhost/adoption",
        "http://localhost/adoption",
        "ftp://localhost/adoption",
    ],
)
def test_what_is_no_address_is_told(channel: VerifiedChannel, tmp_path: Path, url: str) -> None:
    """At once, with what to write."""
    with pytest.raises(UpdateError, match="write https"):
        AdoptionSender(
            Adoption(url=url, application="shop", key=KEY), Cache(tmp_path / "cache"), channel
        )


def test_plain_http_is_for_tests(serve: Callable[..., Origin], tmp_path: Path) -> None:
    """It has to be asked for."""
    origin = serve({})
    adoption = Adoption(url=f"{origin.url}/adoption", application="shop", key=KEY)
    one = AdoptionSender(adoption, Cache(tmp_path / "cache"), None, plain_http=True)
    _note(one)

    assert 1 == len(origin.posts)
