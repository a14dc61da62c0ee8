"""Private and pins-only trust beside public hosts in one context, over real TLS."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.enforcement import trust_contexts
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.trust_contexts import TrustContexts
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Violation

NOTHING = (0, 0)
SERVED = b"HTTP/1.1 200 OK"
DEVICE = "device.internal"
MESH = "mesh.internal"

Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Pinned = Callable[..., PinningContext]
Received = Callable[[LabServer], tuple[int, int]]
Start = Callable[..., LabServer]


def test_side_by_side(
    *,
    start: Start,
    identity: Identity,
    service: Identity,
    device: Identity,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """One context talks to hosts of each trust, in any order, and again."""
    context = pinned(mixed)
    servers = {"localhost": start(identity), MESH: start(service), DEVICE: start(device)}
    answers = [
        exchange(servers[name], context, name)[0] for name in (DEVICE, "localhost", MESH) * 2
    ]

    assert all(answer.startswith(SERVED) for answer in answers)


@pytest.mark.parametrize("host", ["localhost", DEVICE])
def test_private_anchors_vouch_for_their_own_hosts_only(
    host: str,
    start: Start,
    mesh: Authority,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """A certificate from the private CA for another set's host is refused before a byte is sent."""
    context, server = pinned(mixed), start(mesh.issue(host))
    with pytest.raises(PinViolationError):
        exchange(server, context, host)

    assert NOTHING == received(server)


def test_public_anchors_do_not_vouch_for_a_private_host(
    start: Start,
    rogue: Authority,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """A certificate from a CA that everybody trusts is refused for a host of the private set."""
    server = start(rogue.issue(MESH))
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, pinned(mixed), MESH)

    assert NOTHING == received(server)
    assert [Outcome.UNTRUSTED] == [one.verdict.outcome for one in violations]


def test_anchors_loaded_later_do_not_vouch_for_a_private_host(
    start: Start,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """What a library loads into the context widens public trust and no other."""
    other, context = Authority.new("Loaded later"), pinned(mixed)
    context.load_verify_locations(cadata=other.pem)
    server = start(other.issue(MESH))
    with pytest.raises(PinViolationError, match="untrusted"):
        exchange(server, context, MESH)

    assert NOTHING == received(server)


def test_a_private_host_is_named(
    start: Start, mesh: Authority, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """The private CA's certificate for another name is refused: the name is checked there too."""
    with pytest.raises(PinViolationError) as refusal:
        exchange(start(mesh.issue("other.internal")), pinned(mixed), MESH)

    assert Observed.WRONG_HOST is refusal.value.violation.observed


def test_pins_of_a_private_set_count(
    *,
    start: Start,
    mesh: Authority,
    service: Identity,
    sets: tuple[PinSet, ...],
    spare_pin: Pin,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """A private set that has pins asks for them beside its anchors."""
    pinned_set = replace(sets[1], leaf=(Pin.parse(service.spki_pin),), backup=(spare_pin,))
    context = pinned(Policy(unlisted=Unlisted.REFUSE, pin_sets=(pinned_set,)))

    assert exchange(start(service), context, MESH)[0].startswith(SERVED)
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(start(mesh.issue(MESH)), context, MESH)


def test_sessions_of_a_private_host_are_resumed(
    start: Start, service: Identity, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """A session of a private host is good for the next connection of the context."""
    context, server = pinned(mixed), start(service)
    _, session = exchange(server, context, MESH)
    answer, _ = exchange(server, context, MESH, session)

    assert answer.startswith(SERVED)
    assert [False, True] == [one.resumed for one in server.connections]


def test_a_session_that_is_set_later_is_resumed(
    start: Start,
    service: Identity,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """A private host's session can be set up to the handshake, as on any connection."""
    context, server = pinned(mixed), start(service)
    _, session = exchange(server, context, MESH)
    tls = connect(server, context, MESH, do_handshake_on_connect=False)
    tls.session = session
    tls.do_handshake()

    assert tls.session_reused


def test_a_device_takes_no_session_later(
    start: Start,
    identity: Identity,
    sets: tuple[PinSet, ...],
    pinned: Pinned,
    exchange: Exchange,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """A session set before the handshake does not get an honest device refused."""
    shared = replace(sets[2], leaf=(Pin.parse(identity.spki_pin),), check_name=False)
    context = pinned(Policy(unlisted=Unlisted.REFUSE, pin_sets=(sets[0], shared)))
    server = start(identity)
    _, session = exchange(server, context)
    tls = connect(server, context, DEVICE, do_handshake_on_connect=False)
    tls.session = session
    tls.do_handshake()

    assert not tls.session_reused


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_another_device_is_refused(
    kind: Any,  # noqa: ANN401
    start: Start,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
) -> None:
    """A device with the right name and another key gets nothing, although it vouches for itself."""
    server = start(self_signed(DEVICE, kind=kind))
    with pytest.raises(PinViolationError):
        exchange(server, pinned(mixed), DEVICE)

    assert NOTHING == received(server)
    assert [(Outcome.MISMATCH, Observed.SELF_SIGNED)] == [
        (one.verdict.outcome, one.observed) for one in violations
    ]


def test_a_device_under_a_public_ca_needs_its_pin_too(
    start: Start, rogue: Authority, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """No CA vouches for a pins-only host."""
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(start(rogue.issue(DEVICE)), pinned(mixed), DEVICE)


def test_a_pinned_certificate_that_was_sent_along_is_no_leaf(
    start: Start, device: Identity, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """Behind a stranger's leaf the pinned one proves nothing (CVE-2016-2402)."""
    stranger = self_signed(DEVICE).with_chain(device.certificate)
    with pytest.raises(PinViolationError, match="mismatch"):
        exchange(start(stranger), pinned(mixed), DEVICE)


def test_the_certificate_without_its_key(
    device: Identity, mixed: Policy, pinned: Pinned, connect: Callable[..., ssl.SSLSocket]
) -> None:
    """Nobody but the device can show its certificate: the handshake has to prove the key."""

    async def pretend(stream: ServerStream) -> None:
        await stream.write(flight_without_key([device.der], await read_client_random(stream)))
        while await stream.read():
            pass

    with (
        LabServer(self_signed(DEVICE), starttls=pretend) as server,
        pytest.raises(ssl.SSLError, match="BAD_SIGNATURE"),
    ):
        connect(server, pinned(mixed), DEVICE)


@pytest.mark.parametrize(
    ("names", "validity", "fields", "observed"),
    [
        (["other.internal"], {}, {}, Observed.WRONG_HOST),
        (["other.internal"], {}, {"check_name": False}, None),
        ([DEVICE], {"not_after": -1}, {}, Observed.CLOCK),
        ([DEVICE], {"not_before": 1}, {}, Observed.CLOCK),
        ([DEVICE], {"not_after": -1}, {"check_validity": False}, None),
    ],
)
def test_name_and_validity_as_the_policy_says(
    *,
    names: list[str],
    validity: dict[str, int],
    fields: dict[str, bool],
    observed: Observed | None,
    device: Identity,
    device_policy: Callable[..., Policy],
    start: Start,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """They count unless the policy says that they do not."""
    now = datetime.now(UTC)
    times: Any = {name: now + timedelta(days=days) for name, days in validity.items()}
    server = start(self_signed(*names, key=device.key, **times))
    context = pinned(device_policy(**fields))

    if observed is None:
        assert exchange(server, context, DEVICE)[0].startswith(SERVED)
        return
    with pytest.raises(PinViolationError) as refusal:
        exchange(server, context, DEVICE)
    assert (Outcome.UNTRUSTED, observed) == (
        refusal.value.violation.verdict.outcome,
        refusal.value.violation.observed,
    )


def test_a_device_that_has_expired_since(
    start: Start,
    device: Identity,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A leaf that was accepted once is refused when it expires: nobody else looks at its dates."""
    context, server = pinned(mixed), start(device)
    exchange(server, context, DEVICE)
    expired = device.certificate.not_valid_after_utc + timedelta(seconds=1)
    monkeypatch.setattr(context._holdfast_pinning.enforcement.judge, "_clock", lambda: expired)

    with pytest.raises(PinViolationError, match="expired"):
        exchange(server, context, DEVICE)


def test_a_denied_device(
    start: Start, device: Identity, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """A denied key is refused on a pins-only host too."""
    denied = replace(mixed, denied=(Pin.parse(device.spki_pin),))
    with pytest.raises(PinViolationError, match="denied"):
        exchange(start(device), pinned(denied), DEVICE)


def test_devices_give_no_sessions(
    start: Start, device: Identity, mixed: Policy, pinned: Pinned, exchange: Exchange
) -> None:
    """A session of a pins-only host cannot be had, so that none can be resumed elsewhere."""
    context, server = pinned(mixed), start(device)
    _, session = exchange(server, context, DEVICE)

    assert session is None


def test_a_session_of_another_host_is_not_taken_to_a_device(
    *,
    start: Start,
    identity: Identity,
    device: Identity,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
) -> None:
    """What was verified elsewhere says nothing about a device: its handshake is a full one."""
    context, server = pinned(mixed), start(identity)
    _, session = exchange(server, context)
    server.switch(device)
    exchange(server, context, DEVICE, session)

    assert not server.connections[-1].resumed


@pytest.mark.parametrize("host", [MESH, DEVICE])
def test_the_client_certificate_goes_to_the_right_one_only(
    *,
    host: str,
    start: Start,
    honest: Authority,
    service: Identity,
    device: Identity,
    client_identity: Identity,
    mixed: Policy,
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """Under each trust the client's certificate is kept back until the server was accepted."""
    make = partial(LabServer, client_anchors=[honest], require_client_certificate=False)
    right = start({MESH: service, DEVICE: device}[host], make)
    wrong = start(self_signed(host), make)
    context = pinned(mixed)
    client_identity.load_into(context)

    exchange(right, context, host)
    with pytest.raises(PinViolationError):
        exchange(wrong, context, host)

    assert [client_identity.der] == [one.client_certificate for one in right.connections]
    assert NOTHING == received(wrong)
    assert [None] == [one.client_certificate for one in wrong.connections]


@pytest.mark.parametrize("host", [MESH, DEVICE])
def test_settings_of_the_context_hold(
    *,
    host: str,
    start: Start,
    service: Identity,
    device: Identity,
    mixed: Policy,
    pinned: Pinned,
    connect: Callable[..., ssl.SSLSocket],
) -> None:
    """Protocols, ciphers and the group are those of the context, whenever they were set."""
    context = pinned(mixed)
    server = start({MESH: service, DEVICE: device}[host], partial(LabServer, alpn=["h2"]))
    connect(server, context, host)
    context.set_alpn_protocols(iter(["h2"]))
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    context.set_ecdh_curve("prime256v1")
    tls = connect(server, context, host)
    cipher, version, _ = tls.cipher() or ("", "", 0)

    assert "h2" == tls.selected_alpn_protocol()
    assert version != "TLSv1.2" or cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert context is tls.context


def test_the_newest_version_holds_for_devices(
    device: Identity, mixed: Policy, pinned: Pinned, connect: Callable[..., ssl.SSLSocket]
) -> None:
    """A limit to the TLS version is not lost on the way."""
    context = pinned(mixed)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with LabServer(device) as server:
        assert "TLSv1.2" == connect(server, context, DEVICE).version()


class _Changing:
    """A policy source that gives one policy at first and another from some question on."""

    def __init__(self, first: Policy, later: Policy, questions: int) -> None:
        self._first, self._later, self._left = first, later, questions

    def current(self) -> Policy:
        """Return the policy of the moment."""
        self._left -= 1
        return self._first if self._left >= 0 else self._later


def test_trust_that_changes_while_a_connection_is_made(
    *,
    start: Start,
    device_policy: Callable[..., Policy],
    pinned: Pinned,
    exchange: Exchange,
    received: Received,
) -> None:
    """What nobody verified for a device does not count as verified when its trust changes."""
    forged = self_signed(DEVICE)
    as_device = device_policy(leaf=(Pin.parse(forged.spki_pin),))
    (pin_set,) = as_device.pin_sets
    as_public = replace(as_device, pin_sets=(replace(pin_set, trust=Trust.PUBLIC),))
    server = start(forged)
    with pytest.raises(PinViolationError, match="the trust of the host changed meanwhile"):
        exchange(server, pinned(_Changing(as_device, as_public, 2)), DEVICE)

    assert NOTHING == received(server)


def test_unbound_creation_is_not_a_way_round(
    device: Identity, mixed: Policy, pinned: Pinned
) -> None:
    """Whoever makes a connection past the context's own methods gets none to a pins-only host."""
    context = pinned(mixed)
    raw: Any = ssl._ssl._SSLContext  # type: ignore[attr-defined]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped: Any = context.wrap_bio(incoming, outgoing, server_hostname=DEVICE)
    with pytest.raises(PinnedContextError, match="not made as it was admitted"):
        wrapped._sslobj = raw._wrap_bio(
            context, incoming, outgoing, False, DEVICE, owner=wrapped, session=None
        )


def test_contexts_are_kept_for_some_anchors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context is made once for a set of anchors, and a flood of policies does not fill memory."""
    monkeypatch.setattr(trust_contexts, "_MEMORY_LIMIT", 2)
    trusts = TrustContexts()
    anchors = [(der(Authority.new(name).certificate),) for name in "abc"]
    first = trusts.private(anchors[0])

    assert first is trusts.private(anchors[0])
    for one in anchors:
        trusts.private(one)
    assert len(trusts._kept) <= 2


def test_a_setting_made_meanwhile_is_not_lost() -> None:
    """A context that is being made when another thread changes a setting is not kept without it."""
    trusts, anchors = TrustContexts(), (der(Authority.new("Root").certificate),)
    equipped: list[ssl.SSLContext] = []
    trusts.set_for_private("one", lambda _: trusts.set_for_private("other", equipped.append))
    trusts.private(anchors)
    trusts.set_for_private("one", lambda _: None)

    assert [trusts.private(anchors)] == equipped


def test_anchors_from_a_policy_file(
    start: Start,
    mesh: Authority,
    service: Identity,
    anchors: Path,
    tmp_path: Path,
    exchange: Exchange,
) -> None:
    """The policy file of the documentation works as it stands there."""
    from holdfast import load_policy

    (tmp_path / "mesh-root.pem").write_text(mesh.pem)
    (tmp_path / "pins.toml").write_text(
        '[holdfast]\nformat = 1\nunlisted = "allow"\n'
        '[pin_set.mesh]\nhosts = ["**.internal"]\nmode = "enforce"\n'
        'trust = "private"\nanchors = ["mesh-root.pem"]\n'
    )
    context = PinningContext(load_policy(tmp_path / "pins.toml"), public_anchors=anchors)

    assert exchange(start(service), context, MESH)[0].startswith(SERVED)
