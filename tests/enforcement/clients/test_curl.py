import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import curl_cffi
import pycurl
import pytest

import holdfast
from holdfast.enforcement.clients.curl import CurlPins, curl_pins
from holdfast.errors import LossError
from holdfast.formats.loss import Effect, LossKind
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.renegotiation import renegotiating_server
from holdfast.lab.server import LabServer
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Require
from holdfast.pins.policy import Policy

ANSWER = b"hello from the lab\n"
PolicyFor = Callable[..., Policy]
Fetch = Callable[[CurlPins, str, Path], bytes]


class _RefusedError(Exception):
    """What either library raised."""


def _with_pycurl(pins: CurlPins, url: str, anchors: Path) -> bytes:
    answer = io.BytesIO()
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.CAINFO, str(anchors))
    curl.setopt(pycurl.WRITEDATA, answer)
    curl.setopt(pycurl.FOLLOWLOCATION, 1)
    curl.setopt(pycurl.TIMEOUT, 10)
    curl.setopt(pycurl.PROXY, "")
    pins.apply_to(curl)
    try:
        curl.perform()
    except pycurl.error as error:
        raise _RefusedError(*error.args) from error
    finally:
        curl.close()
    return answer.getvalue()


def _with_curl_cffi(pins: CurlPins, url: str, anchors: Path) -> bytes:
    with curl_cffi.Session(
        curl_options=pins.curl_cffi_options(),
        verify=str(anchors),  # type: ignore[arg-type]  # it takes a file too
        trust_env=False,
    ) as session:
        try:
            return bytes(session.get(url, timeout=10).content)
        except curl_cffi.exceptions.RequestException as error:
            raise _RefusedError(*error.args) from error


@pytest.fixture(params=[_with_pycurl, _with_curl_cffi], ids=["pycurl", "curl_cffi"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Each library in turn: a function that takes pins, a URL and anchors."""
    function: Fetch = request.param
    return function


@pytest.fixture
def refused(
    fetch: Fetch, anchors: Path, received: Callable[[LabServer], tuple[int, int]]
) -> Callable[..., None]:
    """Return a function that makes a request, which must be refused before a byte is sent."""

    def check(pins: CurlPins, server: LabServer) -> None:
        with pytest.raises(_RefusedError):
            fetch(pins, server.url, anchors)
        assert (0, 0) == received(server)

    return check


@pytest.mark.parametrize("shown", ["identity", "impostor"])
@pytest.mark.parametrize("recipe", ["pycurl", "curl_cffi"])
def test_recipe(
    *,
    recipe: str,
    shown: str,
    policy: Policy,
    anchors: Path,
    run_page: Callable[..., str],
    request: pytest.FixtureRequest,
) -> None:
    """The recipe reaches the server with the pinned key, and refuses an impostor."""

    def trusting(code: str) -> str:
        """Name the anchors, which neither library takes from the environment."""
        code = code.replace(
            "pins.apply_to(curl)",
            f"curl.setopt(curl.CAINFO, {str(anchors)!r})\npins.apply_to(curl)",
        )
        return code.replace("Session(", f"Session(verify={str(anchors)!r}, ")

    with LabServer(request.getfixturevalue(shown)) as server:
        output = run_page("curl", recipe, policy, server.port, change=trusting)
        received = server.wait_for(closed=1)[0].application_bytes

    assert (
        (True, ANSWER.decode().strip()) == (received > 0, output)
        if shown == "identity"
        else ((0, True) == (received, output.startswith("refused: ")))
    )


def test_the_right_key(
    fetch: Fetch, anchors: Path, policy: Policy, start: Callable[..., LabServer], identity: Identity
) -> None:
    """The server with the pinned key is talked to."""
    assert ANSWER == fetch(curl_pins(policy, "localhost"), start(identity).url, anchors)


def test_a_trusted_impostor(
    refused: Callable[..., None],
    policy: Policy,
    start: Callable[..., LabServer],
    impostor: Identity,
    identity: Identity,
) -> None:
    """Another key under a trusted CA gets no byte, the pinned certificate sent along or not."""
    pins = curl_pins(policy, "localhost")

    refused(pins, start(impostor))
    refused(pins, start(impostor.with_chain(*identity.chain)))


def test_the_certificate_is_verified_too(
    refused: Callable[..., None],
    policy: Policy,
    start: Callable[..., LabServer],
    identity: Identity,
) -> None:
    """The pinned key does not help where no trusted CA vouches for it."""
    unknown = Authority.new("Unknown").issue("localhost", key=identity.key)

    refused(curl_pins(policy, "localhost"), start(unknown))


def test_a_denied_leaf_key(
    refused: Callable[..., None],
    policy_for: PolicyFor,
    start: Callable[..., LabServer],
    identity: Identity,
) -> None:
    """A denied key is not put into the list, although the set has it."""
    pins = curl_pins(policy_for(denied=(identity.spki_pin,)), "localhost")

    refused(pins, start(identity))


def test_a_denied_ca_is_lost(
    fetch: Fetch,
    anchors: Path,
    policy_for: PolicyFor,
    start: Callable[..., LabServer],
    identity: Identity,
    honest: Authority,
) -> None:
    """A denied key elsewhere on the path is not seen, and the losses say so."""
    pins = curl_pins(policy_for(denied=(honest.spki_pin,)), "localhost")

    assert ANSWER == fetch(pins, start(identity).url, anchors)
    assert (LossKind.DENIED, Effect.LETS_THROUGH) in [(one.kind, one.effect) for one in pins.losses]


@pytest.mark.parametrize("target", ["plain", "another host"])
def test_redirects_stay(
    *,
    target: str,
    fetch: Fetch,
    anchors: Path,
    policy: Policy,
    identity: Identity,
    impostor: Identity,
) -> None:
    """A redirect into the clear is not followed, and another host has to show the same key."""
    is_plain = target == "plain"
    with LabServer(None if is_plain else impostor, name="127.0.0.1") as elsewhere:
        with LabServer(identity, redirects={"/": elsewhere.url + "/"}) as server:
            with pytest.raises(_RefusedError):
                fetch(curl_pins(policy, "localhost"), server.url + "/", anchors)
            assert server.application_bytes > 0
        assert 0 == elsewhere.application_bytes


@pytest.mark.parametrize("only_tls13", [False, True])
def test_renegotiation(
    only_tls13: bool,
    fetch: Fetch,
    anchors: Path,
    policy: Policy,
    identity: Identity,
    impostor: Identity,
    request: pytest.FixtureRequest,
) -> None:
    """In TLS 1.2 pycurl goes on with another key, as the losses say, and not without TLS 1.2."""
    pins = curl_pins(policy, "localhost", only_tls13=only_tls13)
    is_lost = LossKind.RENEGOTIATION in [loss.kind for loss in pins.losses]
    assert is_lost is not only_tls13

    with renegotiating_server(identity, impostor) as server:
        outcome: Any = None
        try:
            outcome = fetch(pins, server.url + "/", anchors)
        except _RefusedError:
            outcome = "refused"

    # BoringSSL, which curl_cffi has, does not renegotiate by itself.
    fooled = not only_tls13 and "pycurl" in request.node.callspec.id
    assert (b"rogue\n" if fooled else "refused") == outcome


def test_private_trust(
    fetch: Fetch,
    tmp_path: Path,
    sets: tuple[PinSet, ...],
    mesh: Authority,
    honest: Authority,
    anchors: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The anchors of a private set are the only ones, for pycurl; curl_cffi takes a file."""
    local = replace(sets[1], hosts=(holdfast.HostPattern.parse("localhost"),))
    pins = curl_pins(Policy(unlisted=holdfast.Unlisted.ALLOW, pin_sets=(local,)), "localhost")
    assert "" == pins.public_keys
    if "curl_cffi" in request.node.callspec.id:
        with pytest.raises(LossError, match="from a file only"):
            fetch(pins, "https://localhost:1", anchors)
        return

    with LabServer(mesh.issue("localhost")) as server:
        assert ANSWER == fetch(pins, server.url, anchors)
    with LabServer(honest.issue("localhost")) as server:  # public, and in the file of anchors
        with pytest.raises(_RefusedError):
            fetch(pins, server.url, anchors)
        assert 0 == server.application_bytes


def _kinds(policy: Policy, **options: bool) -> dict[LossKind, Effect]:
    return {loss.kind: loss.effect for loss in curl_pins(policy, "localhost", **options).losses}


def test_nothing_that_matters_is_lost_of_leaf_keys(policy: Policy) -> None:
    """A set of leaf keys is held whole without TLS 1.2, also with `strict`."""
    assert {LossKind.REPORTS: Effect.NEITHER} == _kinds(policy, only_tls13=True, strict=True)
    with pytest.raises(LossError, match="asks for another handshake"):
        curl_pins(policy, "localhost", strict=True)


@pytest.mark.parametrize(
    ("fields", "kind", "effect"),
    [
        ({"ca": True}, LossKind.CA_PINS, Effect.REFUSES),
        (
            {"ca": True, "require": Require.LEAF_AND_CA},
            LossKind.LEAF_AND_CA,
            Effect.LETS_THROUGH,
        ),
        ({"certificate": True}, LossKind.CERTIFICATE_PINS, Effect.REFUSES),
        ({"mode": Mode.REPORT_ONLY}, LossKind.REPORT_ONLY, Effect.REFUSES),
        (
            {"report_only_until": datetime.now(UTC) + timedelta(days=1)},
            LossKind.BREAK_GLASS,
            Effect.REFUSES,
        ),
        (
            {"expires": datetime.now(UTC), "on_expiry": OnExpiry.ALLOW},
            LossKind.EXPIRY,
            Effect.REFUSES,
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_lost_is_said(
    fields: dict[str, Any],
    kind: LossKind,
    effect: Effect,
    policy: Policy,
    spare_pin: Pin,
) -> None:
    """Each thing that libcurl cannot hold is a loss, and an error with `strict`."""
    other = (Pin.of_spki(b"1"), Pin.of_spki(b"2"))
    if fields.pop("ca", False):
        fields = {**fields, "ca": other}
    if fields.pop("certificate", False):
        fields = {**fields, "leaf": (*policy.pin_sets[0].leaf, Pin.of_certificate(b"1"))}
    changed = replace(policy, pin_sets=(replace(policy.pin_sets[0], **fields),))

    assert effect is _kinds(changed, only_tls13=True)[kind]
    with pytest.raises(LossError):
        curl_pins(changed, "localhost", only_tls13=True, strict=True)


def test_what_cannot_be_held_at_all(
    policy: Policy, policy_for: PolicyFor, sets: tuple[PinSet, ...], identity: Identity
) -> None:
    """A set without a key for a leaf, and a device, are errors that say what to do."""
    only_ca = policy_for(ca=identity.spki_pin)
    device = Policy(unlisted=holdfast.Unlisted.ALLOW, pin_sets=sets)
    for impossible, host in ((only_ca, "localhost"), (device, "device.internal")):
        with pytest.raises(LossError, match="cannot hold") as caught:
            curl_pins(impossible, host)
        assert "ssl.SSLContext" in (caught.value.hint or "")
    denied = replace(policy, denied=policy.pin_sets[0].pins)
    with pytest.raises(LossError, match="none that is not denied"):
        curl_pins(denied, "localhost")


def test_an_unlisted_host(policy: Policy) -> None:
    """Where there is nothing to pin, nothing is said to be pinned."""
    with pytest.raises(holdfast.HoldfastError, match="no pin set covers it"):
        curl_pins(policy, "elsewhere.example")


def test_verification_is_switched_on(
    policy: Policy, identity: Identity, received: Callable[..., tuple[int, int]]
) -> None:
    """`verify=False` of a session does not win against the options."""
    options = curl_pins(policy, "localhost").curl_cffi_options()
    unknown = Authority.new("Unknown").issue("localhost", key=identity.key)
    with LabServer(unknown) as server, curl_cffi.Session(curl_options=options) as session:
        with pytest.raises(curl_cffi.exceptions.RequestException):
            session.get(server.url, verify=False, timeout=10)
        assert (0, 0) == received(server)
