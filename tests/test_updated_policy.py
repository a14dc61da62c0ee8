"""A pinned client that follows signed updates, with real TLS to the origin and to the server."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import pytest
from securesystemslib.signer import CryptoSigner, Signer

import holdfast
from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.errors import HostNameError, UpdateError
from holdfast.lab.authorities import Authority
from holdfast.pins.host_pins import HostPins
from holdfast.pins.pin_set import Mode
from holdfast.pins.verdict import Observed, Verdict, Violation
from holdfast.testing import PinnedServer
from holdfast.updated_policy import Adoption
from holdfast.updates.adoption import report_from_bytes
from holdfast.updates.document import Bundle, DenyList, bundle_to_bytes, deny_list_to_bytes
from holdfast.updates.freshness import State
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from tests.updates.origin import Origin
from tests.updates.signed_repository import SignedRepository


def _bundle(serial: int, policy: holdfast.Policy) -> bytes:
    return bundle_to_bytes(
        Bundle(
            serial=serial, issued=datetime.now(UTC), refresh=timedelta(minutes=15), policy=policy
        )
    )


@pytest.fixture
def repository(pinned_server: PinnedServer) -> SignedRepository:
    """A repository that publishes the policy of the pinned server."""
    made = SignedRepository(now=datetime.now(UTC))
    made.put("emergency", deny_list_to_bytes(DenyList(serial=1)))
    made.publish(_bundle(1, pinned_server.policy), roles=["emergency"])
    return made


@pytest.fixture
def channel(tmp_path: Path) -> tuple[Authority, VerifiedChannel]:
    """Return a CA for the origin, and the way there."""
    authority = Authority.new("CA of the origin")
    (tmp_path / "origin.pem").write_text(authority.pem)
    return authority, VerifiedChannel("localhost", public_anchors=tmp_path / "origin.pem")


Follow = Callable[..., holdfast.UpdatedPolicy]


@pytest.fixture
def follow(
    repository: SignedRepository,
    channel: tuple[Authority, VerifiedChannel],
    pinned_server: PinnedServer,
    tmp_path: Path,
) -> Iterator[Follow]:
    """Return a function that makes a policy which follows the repository."""
    authority, way = channel
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    with Origin(repository.files, authority.issue("localhost")) as origin:
        yield lambda **settings: holdfast.UpdatedPolicy(
            root=tmp_path / "root.json",
            seed=pinned_server.policy_path,
            url=origin.url,
            cache=tmp_path / "cache",
            channel=way,
            **settings,
        )


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_denied_key_is_refused_once_the_update_has_come(
    repository: SignedRepository, follow: Follow, pinned_server: PinnedServer
) -> None:
    """What is published takes effect in a running client, in the next connection."""
    policy = follow(background=False)
    context = holdfast.PinningContext(policy, public_anchors=pinned_server.anchors_path)
    with urlopen(pinned_server.url, context=context) as response:
        assert 200 == response.status
    leaf = pinned_server.policy.pin_sets[0].leaf[0]
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({leaf}))))
    repository.publish(_bundle(2, pinned_server.policy), roles=["emergency"])

    assert policy.refresh().succeeded
    with pytest.raises(OSError, match="denied") as failure:
        urlopen(pinned_server.url, context=context)

    violation = holdfast.violation_from(failure.value)
    assert violation is not None
    assert holdfast.Outcome.DENIED is violation.verdict.outcome


def test_a_mismatch_brings_the_next_update_forward(
    repository: SignedRepository, follow: Follow, pinned_server: PinnedServer
) -> None:
    """The connection fails at once; the update that makes the key right comes behind it."""
    right = pinned_server.policy
    wrong = replace(right.pin_sets[0], leaf=(holdfast.Pin.of_spki(b"retired"),))
    repository.publish(_bundle(2, replace(right, pin_sets=(wrong,))))
    policy = follow()
    _until(lambda: 2 == policy.in_force.serial)
    context = holdfast.PinningContext(policy, public_anchors=pinned_server.anchors_path)
    repository.publish(_bundle(3, right))
    with pytest.raises(OSError, match="mismatch") as failure:
        urlopen(pinned_server.url, context=context)
    assert holdfast.violation_from(failure.value) is not None

    def accepted() -> bool:
        with suppress(OSError), urlopen(pinned_server.url, context=context) as response:
            return bool(200 == response.status)
        return False

    _until(accepted)


@pytest.mark.parametrize(
    ("outcome", "allowed", "mode", "expected"),
    [
        (holdfast.Outcome.MISMATCH, False, Mode.ENFORCE, True),
        (holdfast.Outcome.MISMATCH, True, Mode.REPORT_ONLY, True),
        (holdfast.Outcome.UNTRUSTED, False, Mode.ENFORCE, True),
        (holdfast.Outcome.EXPIRED, True, Mode.ENFORCE, True),
        (holdfast.Outcome.NOT_PINNED, False, None, True),
        (holdfast.Outcome.NOT_PINNED, True, None, False),
        (holdfast.Outcome.MISMATCH, True, Mode.ENFORCE, False),  # by a local exception
        (holdfast.Outcome.MATCH, True, Mode.ENFORCE, False),  # the same
    ],
)
def test_what_is_reported_each_time_is_not_the_pace_of_updates(
    *,
    follow: Follow,
    outcome: holdfast.Outcome,
    allowed: bool,
    mode: Mode | None,
    expected: bool,
) -> None:
    """Only what newer pins could change brings one forward, and leaves none for five minutes."""
    policy = follow()
    policy.note_violation(
        Violation(
            verdict=Verdict(
                outcome=outcome,
                allowed=allowed,
                violation=True,
                host="localhost",
                mode=mode,
                reason="so it is",
            ),
            observed=Observed.UNKNOWN,
            time=datetime.now(UTC),
        )
    )

    assert expected is not policy._refresher.hint()


def test_updates_come_through_while_everything_else_is_refused(
    repository: SignedRepository, follow: Follow
) -> None:
    """Process-wide enforcement of the policy does not cut the policy off from its successor."""
    policy = follow(background=False)
    holdfast.install(holdfast.Policy(unlisted=holdfast.Unlisted.REFUSE))
    try:
        assert policy.refresh().succeeded
    finally:
        holdfast.uninstall()


def test_adoption_is_told_to_who_is_named_and_else_to_nobody(
    repository: SignedRepository,
    follow: Follow,
    channel: tuple[Authority, VerifiedChannel],
    tmp_path: Path,
) -> None:
    """After a refresh that changes something, by name; without the setting no value is made."""
    follow(background=False).refresh()
    assert not (tmp_path / "cache" / "installation").exists()

    key = b"k" * 32
    with Origin({}, channel[0].issue("localhost")) as collector:
        adoption = Adoption(url=f"{collector.url}/adoption", application="shop", key=key)
        policy = follow(background=False, adoption=adoption)
        for serial in (2, 3):
            repository.publish(_bundle(serial, policy.current()))
            assert policy.refresh().succeeded
            _until(lambda: policy.in_force.serial == 1 + len(collector.posts))

    reports = [
        report_from_bytes(body, headers["Holdfast-Signature"], {"shop": [key]}, datetime.now(UTC))
        for _, headers, body in collector.posts
    ]
    assert [(1, 2, State.FRESH), (1, 3, State.FRESH)] == [
        (report.epoch, report.serial, report.state) for report in reports
    ]
    assert 1 == len({report.installation for report in reports})
    assert (tmp_path / "cache" / "installation").exists()


def test_adoption_to_no_address_is_told(follow: Follow) -> None:
    """At once, and not in a thread later."""
    adoption = Adoption(url="http://localhost/adoption", application="shop", key=b"k" * 32)
    with pytest.raises(UpdateError, match="plain http"):
        follow(background=False, adoption=adoption)


@pytest.mark.parametrize("url", ["http://localhost/", "localhost", "https://a b/", "https://"])
def test_what_is_no_address_is_told(tmp_path: Path, pinned_server: PinnedServer, url: str) -> None:
    """At once, and not at the first refresh."""
    (tmp_path / "root.json").write_text("{}")
    with pytest.raises(UpdateError):
        holdfast.UpdatedPolicy(
            root=tmp_path / "root.json", seed=pinned_server.policy_path, url=url, cache=tmp_path
        )


def test_a_missing_root_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(UpdateError, match="ship the root"):
        holdfast.UpdatedPolicy(root=tmp_path / "root.json", url="https://localhost/")


@pytest.fixture
def follow_hosts(
    channel: tuple[Authority, VerifiedChannel], pinned_server: PinnedServer, tmp_path: Path
) -> Iterator[Follow]:
    """Follow a repository whose set has retired pins, and the server its own, the right ones."""
    authority, way = channel
    right = pinned_server.policy.pin_sets[0]
    retired = replace(right, leaf=(holdfast.Pin.of_spki(b"retired"),))
    keys: dict[str, list[Signer]] = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in PROFILES["small"].items()
    }
    served = tmp_path / "served"
    publisher = Publisher.created(served, keys, PROFILES["small"], datetime.now(UTC))
    policy = replace(pinned_server.policy, pin_sets=(retired,))
    publisher.publish(policy, refresh=timedelta(minutes=15), rules=True)
    own = HostPins(leaf=right.leaf, backup=right.backup, ca=right.ca)
    publisher.publish_hosts({"localhost": own}, changes=False, index=True)
    (tmp_path / "root.json").write_bytes(publisher.root)
    files = {
        path.relative_to(served).as_posix(): path.read_bytes()
        for path in served.rglob("*")
        if path.is_file()
    }
    with Origin(files, authority.issue("localhost")) as origin:
        yield lambda **settings: holdfast.UpdatedPolicy(
            root=tmp_path / "root.json",
            url=origin.url,
            cache=tmp_path / "cache",
            channel=way,
            **settings,
        )


def _connects(policy: holdfast.UpdatedPolicy, pinned_server: PinnedServer) -> bool:
    context = holdfast.PinningContext(policy, public_anchors=pinned_server.anchors_path)
    with suppress(OSError), urlopen(pinned_server.url, context=context) as response:
        return bool(200 == response.status)
    return False


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [((), False), (["other.example"], False), (["LocalHost."], True), ("every", True)],
)
def test_a_followed_host_is_judged_by_its_own_pins(
    follow_hosts: Follow,
    pinned_server: PinnedServer,
    hosts: list[str] | Literal["every"],
    expected: bool,
) -> None:
    """In real connections; the others by those of the set, which are wrong here."""
    policy = follow_hosts(hosts=hosts, background=False)
    assert policy.refresh().succeeded

    assert expected is _connects(policy, pinned_server)


def test_a_host_may_be_followed_while_it_runs(
    follow_hosts: Follow, pinned_server: PinnedServer
) -> None:
    """The next update is brought forward for it."""
    policy = follow_hosts()
    _until(lambda: policy.in_force.serial)
    assert not _connects(policy, pinned_server)
    policy._refresher._last_hint = None  # what was refused above has taken the hint

    policy.follow("LocalHost.")

    _until(lambda: _connects(policy, pinned_server))


def test_what_is_no_host_is_told(follow_hosts: Follow) -> None:
    """At once; one text is no list of its letters."""
    policy = follow_hosts(background=False)

    for wrong in ("a b", "*.example.com"):
        with pytest.raises(HostNameError):
            policy.follow(wrong)
        with pytest.raises(HostNameError):
            follow_hosts(hosts=[wrong])
    with pytest.raises(HostNameError, match="one text"):
        follow_hosts(hosts="localhost")
    policy.follow("localhost")
    assert policy.refresh().succeeded
