import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.cli.endpoint_check import Checked, check_endpoints, endpoints_of, not_probed, select
from holdfast.lab.authorities import Authority, Identity, new_key, self_signed, spki_pin
from holdfast.lab.server import LabServer
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome

ROOT = Authority.new("root")
ISSUER = ROOT.intermediate("issuer")
ROOT_DER = ROOT.certificate.public_bytes(Encoding.DER)
OTHER_DER = Authority.new("other").certificate.public_bytes(Encoding.DER)
SPARE = Pin.parse(spki_pin(new_key()))
NOW = datetime.now(UTC)


def _policy(identity: Identity, host: str = "localhost", **changes: Any) -> Policy:  # noqa: ANN401
    fields: dict[str, Any] = {
        "name": "lab",
        "hosts": (HostPattern.parse(host),),
        "mode": Mode.ENFORCE,
        "leaf": (Pin.parse(identity.spki_pin),),
        "backup": (SPARE,),
    }
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(PinSet(**(fields | changes)),))


def _check(policy: Policy, identity: Identity, anchors: tuple[bytes, ...] = (ROOT_DER,)) -> Checked:
    async def check(endpoint: Endpoint) -> list[Checked]:
        found = check_endpoints(policy, [endpoint], anchors, concurrency=2, timeout=10.0)
        return [result async for result in found]

    with LabServer(identity) as server:
        (result,) = asyncio.run(check(Endpoint("https", "localhost", server.port)))
    return result


def test_backup_in_use_is_a_warning() -> None:
    """A server that shows the backup key matches, and it is said that no reserve is left."""
    identity = ISSUER.issue("localhost")
    policy = _policy(identity, leaf=(SPARE,), backup=(Pin.parse(identity.spki_pin),))

    result = _check(policy, identity)

    assert ("match", False, ["HF207"]) == (
        result.outcome,
        result.violates,
        [finding.rule for finding in result.findings],
    )


def test_private_set_has_its_own_anchors() -> None:
    """A private set is verified by its anchors alone: not by --anchors, and not the other way."""
    identity = ISSUER.issue("localhost")
    private: dict[str, Any] = {"trust": Trust.PRIVATE, "leaf": (), "backup": ()}

    own = _check(_policy(identity, anchors=(ROOT_DER,), **private), identity, anchors=())
    foreign = _check(_policy(identity, anchors=(OTHER_DER,), **private), identity)

    assert ("match", "untrusted") == (own.outcome, foreign.outcome)


@pytest.mark.parametrize("trust", [Trust.PUBLIC, Trust.PRIVATE])
def test_another_valid_path_matches_as_in_clients(trust: Trust) -> None:
    """A pin on an older root, which signed the newer one, matches where both are trusted."""
    older = Authority.new("older root")
    older_der = older.certificate.public_bytes(Encoding.DER)
    crossed = older.cross_sign(ROOT)
    identity = ISSUER.issue("localhost").with_chain(ISSUER.certificate, crossed.certificate)
    pins = (Pin.parse(older.spki_pin), SPARE)
    for trusted, outcome in (((ROOT_DER, older_der), "match"), ((ROOT_DER,), "mismatch")):
        fields: dict[str, Any] = {"ca": pins, "leaf": (), "backup": ()}
        if trust is Trust.PRIVATE:
            fields |= {"trust": trust, "anchors": trusted}
        result = _check(_policy(identity, **fields), identity, anchors=trusted)

        assert outcome == result.outcome


@pytest.mark.parametrize(
    ("identity", "checks", "outcome", "observed"),
    [
        (self_signed("localhost"), {}, Outcome.MATCH, None),
        (self_signed("other"), {}, Outcome.UNTRUSTED, Observed.WRONG_HOST),
        (self_signed("other"), {"check_name": False}, Outcome.MATCH, None),
        (
            self_signed("localhost", not_after=NOW - timedelta(days=1)),
            {},
            Outcome.UNTRUSTED,
            Observed.CLOCK,
        ),
        (
            self_signed("localhost", not_after=NOW - timedelta(days=1)),
            {"check_validity": False},
            Outcome.MATCH,
            None,
        ),
    ],
)
def test_pins_only_set_checks_what_it_asks_for(
    identity: Identity, checks: dict[str, Any], outcome: Outcome, observed: Observed | None
) -> None:
    """A self-signed device passes by its leaf pin, its name and validity as the set says."""
    result = _check(_policy(identity, trust=Trust.PINS_ONLY, **checks), identity)

    assert (outcome.value, observed) == (result.outcome, result.observed)


def test_pins_only_set_refuses_another_key() -> None:
    """Another device's key is a mismatch, whatever its certificate says."""
    policy = _policy(self_signed("localhost"), trust=Trust.PINS_ONLY)

    assert "mismatch" == _check(policy, self_signed("localhost")).outcome


@pytest.mark.parametrize(
    ("anchors", "observed"), [((ROOT_DER,), Observed.NEW_KEY), (None, Observed.PRIVATE_ANCHOR)]
)
def test_anchor_that_was_given_is_not_remarkable(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    anchors: tuple[bytes, ...] | None,
    observed: Observed,
) -> None:
    """A private anchor in the machine's store is what was seen; one the user named is not."""
    store = tmp_path_factory.mktemp("store") / "ca.pem"
    store.write_text(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))

    async def check(endpoint: Endpoint) -> list[Checked]:
        policy = _policy(ISSUER.issue("localhost"))
        found = check_endpoints(policy, [endpoint], anchors, concurrency=1, timeout=10.0)
        return [result async for result in found]

    with LabServer(ISSUER.issue("localhost")) as server:
        (result,) = asyncio.run(check(Endpoint("https", "localhost", server.port)))

    assert observed is result.observed


def test_expiry_near_is_a_note() -> None:
    """A set and a certificate near their end are notes on a match."""
    identity = ISSUER.issue(
        "localhost", not_before=NOW - timedelta(days=80), not_after=NOW + timedelta(days=10)
    )
    policy = _policy(identity, expires=NOW + timedelta(days=3), on_expiry=OnExpiry.ENFORCE)

    result = _check(policy, identity)

    assert ["HF209", "HF210"] == [finding.rule for finding in result.findings]


def test_unlisted_host_follows_the_policy() -> None:
    """A host that no set covers is what `unlisted` makes of it."""
    identity = ISSUER.issue("localhost")

    result = _check(_policy(identity, "other.example"), identity)

    assert ("not-pinned", True) == (result.outcome, result.violates)


def test_many_endpoints_at_once() -> None:
    """Every endpoint comes back once, however few connections are allowed at a time."""
    identity = ISSUER.issue("localhost")

    async def check(port: int) -> list[Checked]:
        endpoints = [Endpoint("https", "localhost", port) for _ in range(40)]
        found = check_endpoints(
            _policy(identity), endpoints, (ROOT_DER,), concurrency=5, timeout=10.0
        )
        return [result async for result in found]

    with LabServer(identity) as server:
        results = asyncio.run(check(server.port))

    assert ["match"] * 40 == [result.outcome for result in results]


KNOWN = (
    Endpoint("https", "a.example", 443),
    Endpoint("smtp", "a.example", 25),
    Endpoint("https", "b.example", 443),
)


@pytest.mark.parametrize(
    ("hosts", "scheme", "chosen"),
    [
        ([], "https", KNOWN),
        (["A.example."], "https", KNOWN[:2]),
        (["smtp://a.example"], "https", KNOWN[1:2]),
        (["a.example:8443"], "https", (Endpoint("https", "a.example", 8443),)),
        (["new.example"], "imap", (Endpoint("imap", "new.example", 143),)),
        (["b.example", "b.example:443"], "https", KNOWN[2:]),
    ],
)
def test_hosts_select_or_add(hosts: list[str], scheme: str, chosen: tuple[Endpoint, ...]) -> None:
    """A bare host stands for what is known of it; anything else is visited as given."""
    assert chosen == select(hosts, KNOWN, scheme)


def test_policy_names_what_to_visit() -> None:
    """Exact hosts are visited at port 443, listed endpoints as listed, wildcards not at all."""
    identity = self_signed("x")
    exact = _policy(identity, "a.example")
    wild = _policy(identity, "*.example")

    assert (Endpoint("https", "a.example", 443),) == endpoints_of(exact)
    assert () == endpoints_of(wild)
    assert [] == list(not_probed(exact))
    assert ["pin_set.lab"] == [finding.place for finding in not_probed(wild)]
