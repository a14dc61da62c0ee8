"""A proxy that inspects TLS, with and without a local exception, over real TLS."""

import logging
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.local_exception import LocalException
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Outcome, Violation

NOTHING = (0, 0)
SERVED = b"HTTP/1.1 200 OK"
DEVICE = "device.internal"
MESH = "mesh.internal"
UNLISTED = "other.example"

Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]
Received = Callable[[LabServer], tuple[int, int]]
Start = Callable[..., LabServer]


def test_the_proxy_is_let_pass_and_each_use_is_told(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """What the proxy shows stays a mismatch, goes on, and reaches the sink every time."""
    server, context = start(proxy), pinned(exceptions=(exception,))
    answers = [exchange(server, context)[0] for _ in range(2)]

    assert all(answer.startswith(SERVED) for answer in answers)
    assert [(Outcome.MISMATCH, True, Mode.ENFORCE, Observed.PRIVATE_ANCHOR)] * 2 == [
        (one.verdict.outcome, one.verdict.allowed, one.verdict.mode, one.observed)
        for one in violations
    ]
    assert "until" in violations[0].verdict.reason
    assert violations[0].verdict.reason.endswith("the office proxy, ticket NET-12")


def test_the_genuine_server_is_accepted_without_a_word(
    start: Start,
    identity: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """Outside of the office nothing has changed, sessions included."""
    server, context = start(identity), pinned(exceptions=(exception,))
    _, session = exchange(server, context)
    answer, _ = exchange(server, context, "localhost", session)

    assert answer.startswith(SERVED)
    assert [False, True] == [one.resumed for one in server.connections]
    assert [] == violations


def test_another_ca_is_refused_as_ever(
    start: Start,
    impostor: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """Pins hold on a host of an exception against everybody but the proxy."""
    server = start(impostor)
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(server, pinned(exceptions=(exception,)))

    assert NOTHING == received(server)


def test_without_an_exception_the_proxy_is_refused(
    start: Start, proxy: Identity, pinned: Pinned, exchange: Exchange, received: Received
) -> None:
    """Off by default."""
    server = start(proxy)
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, pinned())

    assert NOTHING == received(server)


@pytest.mark.parametrize("host", [DEVICE, MESH])
def test_the_anchor_vouches_for_no_other_set(
    *,
    host: str,
    start: Start,
    proxy: Identity,
    exception: LocalException,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """Private and pins-only hosts are refused, those that the exception names in vain included."""
    named = replace(exception, hosts=(*exception.hosts, HostPattern.parse("**.internal")))
    server, context = start(proxy), pinned(mixed, exceptions=(named,))
    assert exchange(server, context)[0].startswith(SERVED)
    before = server.application_bytes
    with pytest.raises(PinViolationError):
        exchange(server, context, host)
    received(server)

    assert before == server.application_bytes


@pytest.mark.parametrize("names", [("localhost",), ("localhost", UNLISTED)])
def test_the_anchor_vouches_for_no_unlisted_host(
    *,
    names: tuple[str, ...],
    start: Start,
    proxy: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """A host that no pattern covers is verified as without exceptions, whoever names it."""
    named = replace(exception, hosts=tuple(map(HostPattern.parse, names)))
    server, context = start(proxy), pinned(exceptions=(named,))
    _, session = exchange(server, context)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        exchange(server, context, UNLISTED)
    with pytest.raises(PinViolationError, match="undecidable"):  # a session has no name to check
        exchange(server, context, UNLISTED, session)


def test_other_hosts_of_the_set_are_refused(
    *,
    start: Start,
    proxy: Identity,
    exception: LocalException,
    policy_for: PolicyFor,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """An exception is for the hosts that it names, not for the sets they are in."""
    policy = policy_for(hosts=("localhost", UNLISTED))
    server, context = start(proxy), pinned(policy, exceptions=(exception,))
    exchange(server, context)
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, context, UNLISTED)


def test_a_strict_set_has_no_exception(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """`strict` means never."""
    strict = replace(policy, pin_sets=(replace(policy.pin_sets[0], strict=True),))
    server = start(proxy)
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, pinned(strict, exceptions=(exception,)))

    assert NOTHING == received(server)


def test_one_anchor_in_two_places_is_not_mixed_up(
    *,
    start: Start,
    rogue: Authority,
    inspection: Authority,
    proxy: Identity,
    exception: LocalException,
    sets: tuple[PinSet, ...],
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """A private set with the same anchor stays private: what is public does not vouch for it."""
    mesh = replace(sets[1], anchors=(der(inspection.certificate),))
    context = pinned(replace(policy, pin_sets=(sets[0], mesh)), exceptions=(exception,))
    server = start(proxy)

    assert exchange(server, context)[0].startswith(SERVED)
    assert exchange(server, context, MESH)[0].startswith(SERVED)
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(start(rogue.issue(MESH)), context, MESH)


def test_the_name_is_checked(
    start: Start,
    inspection: Authority,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """The inspection CA's certificate for another name is refused."""
    with pytest.raises(PinViolationError) as refusal:
        exchange(start(inspection.issue(UNLISTED)), pinned(exceptions=(exception,)))

    assert Observed.WRONG_HOST is refusal.value.violation.observed


@pytest.mark.parametrize("who", ["leaf", "anchor"])
def test_a_denied_key_is_refused(
    *,
    who: str,
    start: Start,
    proxy: Identity,
    inspection: Authority,
    exception: LocalException,
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """No exception lets a denied key pass, that of the proxy included."""
    pin = {"leaf": proxy.spki_pin, "anchor": inspection.spki_pin}[who]
    server = start(proxy)
    context = pinned(replace(policy, denied=(Pin.parse(pin),)), exceptions=(exception,))
    with pytest.raises(PinViolationError, match="denied"):
        exchange(server, context)

    assert NOTHING == received(server)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": Mode.REPORT_ONLY},
        {"expires": datetime(2026, 1, 1, tzinfo=UTC), "on_expiry": OnExpiry.ALLOW},
        {"ca": ("inspection", "spare"), "leaf": (), "backup": ()},
    ],
    ids=["report-only", "expired", "pinned"],
)
def test_no_use_is_silent(
    *,
    fields: dict[str, Any],
    start: Start,
    proxy: Identity,
    inspection: Authority,
    spare_pin: Pin,
    exception: LocalException,
    policy: Policy,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """Whatever the set would say of the path, that an exception vouched for it is told."""
    if "ca" in fields:
        fields = {**fields, "ca": (Pin.parse(inspection.spki_pin), spare_pin)}
    changed = replace(policy, pin_sets=(replace(policy.pin_sets[0], **fields),))
    server, context = start(proxy), pinned(changed, exceptions=(exception,))
    for _ in range(2):  # a match is remembered otherwise
        assert exchange(server, context)[0].startswith(SERVED)

    assert [True] * 2 == [exception.reason in str(one.verdict.reason) for one in violations]


def test_two_exceptions_for_one_host(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    violations: list[Violation],
) -> None:
    """Each anchor counts under its own exception, as when a proxy changes its CA."""
    other = Authority.new("Next inspection CA")
    following = replace(exception, anchor=der(other.certificate), reason="the next proxy")
    context = pinned(exceptions=(exception, following))
    for identity in (proxy, other.issue("localhost")):
        assert exchange(start(identity), context)[0].startswith(SERVED)

    assert [exception.reason, "the next proxy"] == [
        one.verdict.reason.rpartition(": ")[2] for one in violations
    ]


def test_anchors_loaded_later_count_there_too(
    start: Start, identity: Identity, exception: LocalException, pinned: Pinned, exchange: Exchange
) -> None:
    """What a library loads into the context vouches for the genuine server of such a host."""
    other, context = Authority.new("Loaded later"), pinned(exceptions=(exception,))
    server = start(other.issue("localhost", key=identity.key))
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, context)
    context.load_verify_locations(cadata=other.pem)

    assert exchange(server, context)[0].startswith(SERVED)


@pytest.mark.parametrize("place", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_platforms_anchors_count_there_too(
    *,
    place: str,
    start: Start,
    identity: Identity,
    honest: Authority,
    exception: LocalException,
    policy: Policy,
    exchange: Exchange,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The genuine server verifies by the platform's file, and by its folder, which is read late."""
    file = tmp_path / "honest.pem"
    file.write_text(honest.pem)
    digest = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash", "-in", str(file)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f"{digest}.0").write_text(honest.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file if place == "SSL_CERT_FILE" else tmp_path / "no"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder if place == "SSL_CERT_DIR" else tmp_path / "no"))
    context = PinningContext(policy, exceptions=(exception,))

    assert exchange(start(identity), context)[0].startswith(SERVED)


def test_the_client_certificate_is_shown_as_in_report_only_mode(
    *,
    start: Start,
    honest: Authority,
    proxy: Identity,
    client_identity: Identity,
    exception: LocalException,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """A proxy that is let pass sees the client's certificate; one that is not sees nothing."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    let_pass, refused = start(proxy, make), start(proxy, make)
    with_exception, without = pinned(exceptions=(exception,)), pinned()
    client_identity.load_into(with_exception)
    client_identity.load_into(without)
    exchange(let_pass, with_exception)
    with pytest.raises(PinViolationError):
        exchange(refused, without)

    assert NOTHING == received(refused)
    assert [client_identity.der] == [one.client_certificate for one in let_pass.connections]
    assert [None] == [one.client_certificate for one in refused.connections]


def test_settings_of_the_context_hold(
    start: Start,
    proxy: Identity,
    exception: LocalException,
    pinned: Pinned,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """Protocols and ciphers are those of the context, whenever they were set."""
    context, server = pinned(exceptions=(exception,)), start(proxy, partial(LabServer, alpn=["h2"]))
    connect(server, context)
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    tls = connect(server, context)
    cipher, version, _ = tls.cipher() or ("", "", 0)

    assert "h2" == tls.selected_alpn_protocol()
    assert version != "TLSv1.2" or cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert context is tls.context


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("holdfast.enforcement", logging.WARNING)
    ]


def test_it_is_told_at_the_start(
    exception: LocalException, mixed: Policy, pinned: Pinned, caplog: pytest.LogCaptureFixture
) -> None:
    """A context says which exceptions it has, and where they count for nothing."""
    named = replace(exception, hosts=(*exception.hosts, HostPattern.parse(MESH)))
    over = replace(exception, until=datetime(2026, 1, 1, tzinfo=UTC), reason="long over")
    pinned(mixed, exceptions=(named, over))
    what = (
        f"a local exception for localhost, {MESH} until {exception.until.isoformat()} "
        f"({exception.reason})"
    )
    what_is_over = "a local exception for localhost until 2026-01-01T00:00:00+00:00 (long over)"

    assert [
        f"{what} is in force",
        f"{what}: it has no effect on {MESH}: pin set mesh has private trust",
        f"{what_is_over} is not in force",
    ] == _told(caplog)


def test_one_in_vain_is_not_told_to_be_in_force(
    exception: LocalException, pinned: Pinned, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it counts for nothing at all, that is what is said."""
    pinned(exceptions=(replace(exception, hosts=(HostPattern.parse(UNLISTED),)),))
    (line,) = _told(caplog)

    assert line.endswith(f"it has no effect on {UNLISTED}: no pattern of the policy covers it")


def test_without_exceptions_nothing_is_told(
    pinned: Pinned, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has none hears of none."""
    pinned()

    assert [] == _told(caplog)


def test_what_is_no_exception_is_refused(pinned: Pinned) -> None:
    """Text in place of an exception would be an exception that nobody checked."""
    with pytest.raises(TypeError, match="load_settings"):
        pinned(exceptions=("localhost",))
