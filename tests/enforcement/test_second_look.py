"""The second look on real connections, by the table of docs/security.md.

The server sends `leaf <- YE1 <- YE`; this YE is signed by X1, and there is a root of that name and
key as well, as in the chains of Let's Encrypt.
"""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.certificates import other_paths
from holdfast.enforcement import second_look
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.second_look import SecondLook
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der, pem
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.interfaces import PolicySource
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
PolicyFor = Callable[..., Policy]
Received = Callable[[LabServer], tuple[int, int]]
Start = Callable[..., LabServer]
Trusting = Callable[..., PinningContext]

NOTHING = (0, 0)
SERVED = b"HTTP/1.1 200 OK"
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Shape:
    """The authorities, and what the server shows."""

    x1: Authority
    ye: Authority
    ye1: Authority
    server: Identity

    def __getitem__(self, name: str) -> Authority:
        """Return an authority by its name in the table."""
        return {"X1": self.x1, "YE": self.ye, "YE1": self.ye1}[name]


@pytest.fixture(scope="session")
def shape() -> Shape:
    """Return the shape in good order."""
    x1, ye = Authority.new("X1"), Authority.new("YE")
    ye1 = x1.cross_sign(ye).intermediate("YE1")
    return Shape(x1, ye, ye1, ye1.issue("localhost"))


class Source:
    """A policy source that is told what to say."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """Return the policy."""
        return self.policy


@pytest.fixture
def policy(policy_for: PolicyFor, shape: Shape) -> Policy:
    """Pins X1."""
    return policy_for(ca=shape.x1.spki_pin)


@pytest.fixture
def trusting(shape: Shape, policy: Policy, tmp_path: Path, violations: list[Violation]) -> Trusting:
    """Return a function that makes a pinned context with some anchors, by default X1 and YE."""

    class ListSink:
        def report(self, violation: Violation) -> None:
            violations.append(violation)

    def make(
        *names: str, source: PolicySource = policy, exceptions: tuple[LocalException, ...] = ()
    ) -> PinningContext:
        path = tmp_path / "anchors.pem"
        trusted = names or ("X1", "YE")
        path.write_text(pem([shape[name].certificate for name in trusted]), "ascii")
        return PinningContext(source, sink=ListSink(), public_anchors=path, exceptions=exceptions)

    return make


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each search so far found something."""
    found: list[bool] = []
    search = other_paths.match_on_other_path

    def noted(*arguments: Any) -> other_paths.OtherMatch | None:  # noqa: ANN401
        match = search(*arguments)
        found.append(match is not None)
        return match

    monkeypatch.setattr(other_paths, "match_on_other_path", noted)
    return found


_ROWS = [
    (("X1",), False, {"X1": 0, "YE": 0, "YE1": 0}),
    (("X1", "YE"), False, {"X1": 1, "YE": 0, "YE1": 0}),
    (("X1", "YE1"), True, {"X1": 1, "YE": 1, "YE1": 0}),
]


@pytest.mark.threat("T07")
@pytest.mark.parametrize("pinned_name", ["X1", "YE", "YE1"])
@pytest.mark.parametrize(
    ("trusted", "partial_chains", "looks"), _ROWS, ids=["X1", "X1 and YE", "partial chains"]
)
def test_each_cell_of_the_table_matches(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy_for: PolicyFor,
    searches: list[bool],
    violations: list[Violation],
    trusted: tuple[str, ...],
    partial_chains: bool,
    looks: dict[str, int],
    pinned_name: str,
) -> None:
    """With each store that leads to a path every pin matches, after a second look where needed."""
    pinned = policy_for(ca=shape[pinned_name].spki_pin)
    context = trusting(*trusted, source=pinned)
    if partial_chains:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    answer, _ = exchange(start(shape.server), context)

    assert answer.startswith(SERVED)
    assert [True] * looks[pinned_name] == searches
    assert [] == violations


@pytest.mark.threat("T07")
@pytest.mark.parametrize("pinned_name", ["X1", "YE", "YE1"])
def test_what_openssl_refuses_is_not_looked_at(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy_for: PolicyFor,
    searches: list[bool],
    pinned_name: str,
) -> None:
    """The last row: without a verified path there is nothing to go beside."""
    context = trusting("X1", "YE1", source=policy_for(ca=shape[pinned_name].spki_pin))

    with pytest.raises(PinViolationError, match="unable to get issuer certificate"):
        exchange(start(shape.server), context)

    assert [] == searches


def test_another_pin_is_still_a_mismatch(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    received: Received,
    trusting: Trusting,
    policy_for: PolicyFor,
    rogue: Authority,
    searches: list[bool],
) -> None:
    """Where no path has the pin nothing is sent, and the verdict is on the path of OpenSSL."""
    server = start(shape.server)
    with pytest.raises(PinViolationError) as refusal:
        exchange(server, trusting(source=policy_for(ca=rogue.spki_pin)))

    verdict = refusal.value.violation.verdict
    assert (Outcome.MISMATCH, "no pin of the set is on the path") == (
        verdict.outcome,
        verdict.reason,
    )
    assert [False] == searches
    assert NOTHING == received(server)


def test_report_only_reports_no_miss_that_is_none(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy_for: PolicyFor,
    violations: list[Violation],
) -> None:
    """A trial run sees what enforcement would do: the other path matches there, too."""
    trial = policy_for(ca=shape.x1.spki_pin, mode=Mode.REPORT_ONLY)
    answer, _ = exchange(start(shape.server), trusting(source=trial))

    assert answer.startswith(SERVED)
    assert [] == violations


@pytest.mark.parametrize("name", ["YE", "X1"])
def test_a_denied_key_on_either_path_refuses(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy: Policy,
    name: str,
) -> None:
    """On the first path it is the verdict; on the other one that path is none."""
    denied = replace(policy, denied=(Pin.parse(shape[name].spki_pin),))

    with pytest.raises(PinViolationError) as refusal:
        exchange(start(shape.server), trusting(source=denied))

    outcome = Outcome.DENIED if name == "YE" else Outcome.MISMATCH
    assert outcome is refusal.value.violation.verdict.outcome


@pytest.mark.parametrize("is_pinned", [True, False])
def test_the_client_certificate_waits_for_the_other_path(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy_for: PolicyFor,
    honest: Authority,
    client_identity: Identity,
    rogue: Authority,
    received: Received,
    is_pinned: bool,
) -> None:
    """It is shown once the other path is found, and not where there is none."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    server = start(shape.server, make)
    pin = shape.x1.spki_pin if is_pinned else rogue.spki_pin
    context = trusting(source=policy_for(ca=pin))
    client_identity.load_into(context)

    if is_pinned:
        exchange(server, context)
    else:
        with pytest.raises(PinViolationError):
            exchange(server, context)

    sent = received(server)
    expected = client_identity.der if is_pinned else None
    assert [expected] == [one.client_certificate for one in server.connections]
    assert is_pinned == (sent != NOTHING)


def test_nothing_is_done_on_a_match(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy_for: PolicyFor,
    searches: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ordinary path asks neither for what was presented nor for anchors."""
    asked: list[object] = []
    monkeypatch.setattr(second_look, "presented_chain", asked.append)
    monkeypatch.setattr(second_look, "_asks_for_more", asked.append)
    exchange(start(shape.server), trusting(source=policy_for(ca=shape.ye.spki_pin)))

    assert [] == asked
    assert [] == searches


def test_the_next_handshake_does_not_search(
    shape: Shape, start: Start, exchange: Exchange, trusting: Trusting, searches: list[bool]
) -> None:
    """The match is remembered while policy and path are the same; another context has its own."""
    server, context = start(shape.server), trusting()
    for _ in range(3):
        exchange(server, context)
    assert [True] == searches

    exchange(server, trusting())
    assert [True, True] == searches


def test_a_miss_is_not_remembered(
    shape: Shape, start: Start, exchange: Exchange, trusting: Trusting, searches: list[bool]
) -> None:
    """What is missing for the other path may be there at the next handshake."""
    context = trusting()
    with pytest.raises(PinViolationError):
        exchange(start(shape.server.with_chain(shape.ye1.certificate)), context)
    exchange(start(shape.server), context)

    assert [False, True] == searches


def test_a_match_is_not_used_longer_than_its_path_is_valid(
    shape: Shape, start: Start, exchange: Exchange, trusting: Trusting, searches: list[bool]
) -> None:
    """After the end of the other path, and before its begin, it is searched for again."""
    server, context = start(shape.server), trusting()
    judge = context._holdfast_pinning.enforcement.judge
    exchange(server, context)

    for time in (NOW + timedelta(days=200), NOW - timedelta(days=200)):
        judge._clock = lambda time=time: time
        with pytest.raises(PinViolationError):
            exchange(server, context)
    assert [True, False, False] == searches


def test_a_resumed_session_has_the_other_path(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy: Policy,
    searches: list[bool],
) -> None:
    """It is accepted by what was found, under a new policy too, which is checked again."""
    source = Source(policy)
    server, context = start(shape.server), trusting(source=source)
    _, session = exchange(server, context)
    exchange(server, context, "localhost", session)
    assert [True] == searches

    source.policy = replace(policy)
    answer, _ = exchange(server, context, "localhost", session)

    assert answer.startswith(SERVED)
    assert [False, True, True] == [one.resumed for one in server.connections]
    assert len(searches) > 1, "under another policy it was not checked again"
    assert all(searches)


@pytest.mark.parametrize("name", ["YE", "X1"])
def test_a_resumed_session_is_refused_once_a_key_is_denied(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy: Policy,
    name: str,
) -> None:
    """Both paths count: a key that is denied on either of them ends its sessions."""
    source = Source(policy)
    server, context = start(shape.server), trusting(source=source)
    _, session = exchange(server, context)
    source.policy = replace(policy, denied=(Pin.parse(shape[name].spki_pin),))
    before = server.application_bytes

    with pytest.raises(PinViolationError):
        exchange(server, context, "localhost", session)

    assert before == server.application_bytes


def test_a_resumed_session_is_refused_when_the_other_path_is_forgotten(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is bounded, and a session whose path is not known any more is made anew."""
    monkeypatch.setattr(second_look, "_MEMORY_LIMIT", 1)
    server, context = start(shape.server), trusting()
    _, session = exchange(server, context)
    other = shape.ye1.issue("localhost")
    exchange(start(other), context)

    assert 1 == len(context._holdfast_pinning.second_look._found)
    with pytest.raises(PinViolationError):
        exchange(server, context, "localhost", session)
    exchange(server, context)


def test_an_open_connection_lives_on_under_a_new_policy(
    *,
    shape: Shape,
    start: Start,
    connect: Callable[..., ssl.SSLSocket],
    trusting: Trusting,
    policy: Policy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is judged by both paths, without touching OpenSSL, and ends when one of them is denied."""
    source = Source(policy)
    context = trusting(source=source)
    tls: Any = connect(start(shape.server), context)
    monkeypatch.setattr(second_look, "presented_chain", None)
    monkeypatch.setattr(second_look, "_asks_for_more", None)

    source.policy = replace(policy)
    assert tls._holdfast_judge_again()
    source.policy = replace(policy, denied=(Pin.parse(shape.ye.spki_pin),))
    assert not tls._holdfast_judge_again()
    with pytest.raises(PinViolationError, match="denied"):
        tls.send(b"more")


def test_an_open_connection_is_not_searched_for(
    *,
    shape: Shape,
    start: Start,
    connect: Callable[..., ssl.SSLSocket],
    trusting: Trusting,
    policy: Policy,
    policy_for: PolicyFor,
    searches: list[bool],
) -> None:
    """Where the first path matched once and a new policy asks for another, a handshake decides."""
    source = Source(policy_for(ca=shape.ye.spki_pin))
    tls: Any = connect(start(shape.server), trusting(source=source))
    source.policy = policy

    assert not tls._holdfast_judge_again()
    assert [] == searches


@pytest.mark.parametrize("pinned_name", ["X1", "YE"])
def test_a_private_set_has_other_paths_to_its_own_anchors(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    policy: Policy,
    pinned_name: str,
    spare_pin: Pin,
) -> None:
    """What the context trusts besides does not vouch for it."""
    pins = (Pin.parse(shape[pinned_name].spki_pin), spare_pin)
    own = PinSet(
        name="private",
        hosts=policy.pin_sets[0].hosts,
        mode=Mode.ENFORCE,
        trust=Trust.PRIVATE,
        ca=(Pin.parse(shape.x1.spki_pin), spare_pin),
        anchors=(der(shape.ye.certificate),),
    )
    both = replace(own, ca=pins, anchors=(*own.anchors, der(shape.x1.certificate)))
    server = start(shape.server)

    answer, _ = exchange(
        server, trusting("YE1", source=Policy(unlisted=Unlisted.REFUSE, pin_sets=(both,)))
    )
    assert answer.startswith(SERVED)
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(server, trusting(source=Policy(unlisted=Unlisted.REFUSE, pin_sets=(own,))))


def test_the_anchor_of_an_exception_vouches_for_no_other_path(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    searches: list[bool],
) -> None:
    """A local exception lets a path pass that ends in its anchor, and makes no pin match."""
    exception = LocalException(
        hosts=(HostPattern.parse("localhost"),),
        anchor=der(shape.x1.certificate),
        until=NOW + timedelta(days=1),
        reason="an inspecting proxy",
    )
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(start(shape.server), trusting("YE", exceptions=(exception,)))

    assert [False] == searches


def _check_policies(context: ssl.SSLContext) -> None:
    context.verify_flags |= 0x80  # X509_V_FLAG_POLICY_CHECK, which `ssl` has no name for


def _raise_the_level(context: ssl.SSLContext) -> None:
    context.set_ciphers("DEFAULT@SECLEVEL=3")


@pytest.mark.parametrize("ask", [_check_policies, _raise_the_level])
def test_a_context_that_asks_for_more_has_no_second_look(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    searches: list[bool],
    ask: Callable[[ssl.SSLContext], None],
) -> None:
    """What OpenSSL alone would check stays with OpenSSL's one path."""
    context = trusting()
    ask(context)

    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(start(shape.server), context)
    assert [] == searches


@pytest.mark.parametrize("lists_safely", [True, False])
def test_anchors_that_were_loaded_later(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    monkeypatch: pytest.MonkeyPatch,
    lists_safely: bool,
) -> None:
    """They are asked for on a Python that lists them safely; elsewhere the named ones are known."""
    monkeypatch.setattr(second_look, "_LISTS_SAFELY", lists_safely)
    server, context = start(shape.server), trusting("YE")
    context.load_verify_locations(cadata=shape.x1.pem)

    if lists_safely:
        assert exchange(server, context)[0].startswith(SERVED)
    else:
        with pytest.raises(PinViolationError, match="mismatch"):
            exchange(server, context)
        assert exchange(server, trusting())[0].startswith(SERVED)


def _subject_hash(folder: Path, authority: Authority) -> str:
    """Return the name that OpenSSL looks for in a hashed directory."""
    path = folder / "root.pem"
    path.write_text(authority.pem, "ascii")
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl names the files")
def test_anchors_in_a_directory_are_found_once_they_are_read(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenSSL lists of a directory what it has needed so far, and no more can be used."""
    monkeypatch.setattr(second_look, "_LISTS_SAFELY", True)
    folder = tmp_path / "hashed"
    folder.mkdir()
    (folder / f"{_subject_hash(tmp_path, shape.x1)}.0").write_text(shape.x1.pem, "ascii")
    context = trusting("YE")
    context.load_verify_locations(capath=folder)
    server = start(shape.server)

    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(server, context)
    by_x1 = start(shape.x1.issue("localhost"))  # which makes OpenSSL read it
    exchange(by_x1, context)
    assert exchange(server, context)[0].startswith(SERVED)


@pytest.mark.parametrize(
    ("version", "is_safe"),
    [
        ((3, 11, 8), False),
        ((3, 11, 9), True),
        ((3, 12, 2), False),
        ((3, 12, 3), True),
        ((3, 13, 0), True),
        ((3, 15, 2), True),
    ],
)
def test_versions_that_list_safely(version: tuple[int, int, int], *, is_safe: bool) -> None:
    """Those in which CVE-2024-0397 is mended."""
    assert is_safe == second_look._lists_safely(version)


def test_a_look_that_fails_changes_nothing(
    *,
    shape: Shape,
    start: Start,
    exchange: Exchange,
    trusting: Trusting,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the presented chain cannot be had the first verdict stands, and the log says so."""

    def gone(_: object) -> tuple[bytes, ...]:
        raise ValueError("no presented chain")

    monkeypatch.setattr(second_look, "presented_chain", gone)
    with (
        caplog.at_level(logging.ERROR, "holdfast.enforcement"),
        pytest.raises(PinViolationError, match="mismatch"),
    ):
        exchange(start(shape.server), trusting())

    assert "no presented chain" in caplog.text


def test_without_a_match_before_there_is_nothing_again(
    shape: Shape, trusting: Trusting, policy: Policy
) -> None:
    """A look at what was found returns the verdict as it is where nothing was found."""
    judge = trusting()._holdfast_pinning.enforcement.judge
    path = tuple(map(der, (*shape.server.chain[:2], shape.ye.certificate)))
    missed = judge.decide("localhost", path)

    assert Outcome.MISMATCH is missed.outcome
    assert missed is SecondLook().again(policy, missed, NOW)
