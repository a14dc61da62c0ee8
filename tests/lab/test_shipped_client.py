import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from holdfast.lab.attack import attacks
from holdfast.lab.authorities import Authority
from holdfast.lab.judgment import Outcome, Result
from holdfast.lab.proxy import ConnectProxy
from holdfast.lab.server import LabServer
from holdfast.lab.shipped_client import ShippedClientRunner, presented_by
from holdfast.lab.stage import Stage

HOST = "api.example.com"
ATTACKS = {attack.id: attack for attack in attacks()}
# A shipped client: host and pin are fixed, and only where the proxy is comes from outside.
CLIENT = """
import base64, hashlib, http.client, os, ssl, sys
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["HTTPS_PROXY"])
context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
client = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=4, context=context)
client.set_tunnel("api.example.com", 443)
client.connect()
digest = hashlib.sha256(client.sock.getpeercert(True)).digest()
if PIN and base64.b64encode(digest).decode() != PIN:
    sys.exit("wrong key")
client.request("GET", "/")
print(client.getresponse().status)
"""
Run = Callable[..., tuple[Result, ...]]


@pytest.fixture(scope="module")
def root() -> Authority:
    """Return what the client trusts."""
    return Authority.new("Real root")


@pytest.fixture(scope="module")
def authority(root: Authority) -> Authority:
    """Return the CA of the real server."""
    return root.intermediate("Real CA")


@pytest.fixture(scope="module")
def upstream(authority: Authority) -> Iterator[LabServer]:
    """Return the real server."""
    with LabServer(authority.issue(HOST)) as server:
        yield server


@pytest.fixture
def run(upstream: LabServer, root: Authority) -> Run:
    """Return a function that runs a command against attacks and returns what came out."""
    place = upstream.address, upstream.port
    stage = Stage.around(HOST, presented_by(place, HOST, 5))

    def attack(command: list[str], *chosen: str, timeout: float = 10) -> tuple[Result, ...]:
        with (
            ConnectProxy(HOST, stage.rogue.pem) as proxy,
            ShippedClientRunner(
                command,
                proxy,
                stage,
                upstream=place,
                anchors_pem=root.pem,
                timeout=timeout,
            ) as runner,
        ):
            return runner.run_all([ATTACKS[name] for name in chosen or ATTACKS], jobs=1)

    return attack


def _client(pin: str = "") -> list[str]:
    return [sys.executable, "-c", CLIENT.replace("PIN", repr(pin))]


@pytest.fixture
def own_pin(upstream: LabServer) -> str:
    """Return the pin that the client was shipped with."""
    leaf = presented_by((upstream.address, upstream.port), HOST, 5)[0]
    return base64.b64encode(leaf.fingerprint(hashes.SHA256())).decode()


@pytest.mark.full
@pytest.mark.timeout(60)
def test_a_client_without_pins(run: Run) -> None:
    """Each attack that needs no key of the server's does what it does to a plain client."""
    outcomes = {result.attack.id: result.outcome for result in run(_client())}

    for attack in ATTACKS.values():
        if outcomes[attack.id] is not Outcome.NOT_APPLICABLE:
            fooled = outcomes[attack.id] is Outcome.MISSED
            assert attack.fools_plain == fooled, attack.id
    assert sum(outcome is Outcome.MISSED for outcome in outcomes.values()) >= 10
    assert sum(outcome is Outcome.CAUGHT for outcome in outcomes.values()) >= 7


def test_a_client_with_pins(run: Run, own_pin: str) -> None:
    """The real server is accepted through the untouched tunnel, and interceptions are caught."""
    chosen = ["rogue_ca", "rogue_ca_tls12", "padded_with_pinned_leaf", "self_signed"]

    assert [Outcome.CAUGHT] * 4 == [result.outcome for result in run(_client(own_pin), *chosen)]


def test_a_client_with_wrong_pins(run: Run) -> None:
    """A client that refuses the real server scores nothing, and says why."""
    (result,) = run(_client("something else"), "rogue_ca")

    assert result.outcome is Outcome.REFUSED_HONEST
    assert result.detail.endswith("the client said: wrong key")


def test_a_client_that_uses_no_proxy(run: Run) -> None:
    """Where nothing went through the proxy, nothing was attacked."""
    (result,) = run(["true"], "rogue_ca")

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert "no tunnel to api.example.com" in result.detail


def test_a_client_that_hangs(run: Run) -> None:
    """A client that has to be killed in the control is not attacked."""
    script = (
        "p=${HTTPS_PROXY##*:}; exec 3<>/dev/tcp/127.0.0.1/$p; "
        "printf 'CONNECT api.example.com:443 HTTP/1.1\\r\\n\\r\\n' >&3; sleep 600"
    )
    (result,) = run(["bash", "-c", script], "rogue_ca", timeout=1)

    assert result.outcome is Outcome.HUNG


@pytest.mark.timeout(60)
def test_leaving_tls_is_a_miss(run: Run, own_pin: str) -> None:
    """A client that tries again with http:// has told the proxy everything."""
    fallback = (
        "try:\n"
        + "".join(f"    {line}\n" for line in CLIENT.replace("PIN", repr(own_pin)).splitlines())
        + "except BaseException:\n"
        "    import urllib.request\n"
        "    urllib.request.urlopen('http://api.example.com/', timeout=4)\n"
    )
    (result,) = run([sys.executable, "-c", fallback], "rogue_ca")

    assert result.outcome is Outcome.MISSED
    assert "in the clear" in result.detail


@pytest.mark.parametrize(
    ("attack_id", "reason"),
    [
        ("smtp_starttls", "proxy"),
        ("ip_literal", "URL is fixed"),
        ("denied_key", "the server's key"),
        ("misissued_by_own_ca", "the CA's key"),
        ("long_s_in_host", "URL is fixed"),
        ("through_http_proxy", "its proxy and its variables"),
        ("secrets_logged", "its proxy and its variables"),
    ],
)
def test_what_does_not_apply(attack_id: str, reason: str, run: Run) -> None:
    """An attack that the lab cannot do here is named, with the reason."""
    (result,) = run(_client(), attack_id)

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert reason in result.detail


def test_presented_chain(upstream: LabServer, authority: Authority) -> None:
    """The chain comes as it was sent, leaf first."""
    leaf, issuer = presented_by((upstream.address, upstream.port), HOST, 5)

    assert authority.certificate == issuer
    assert leaf.issuer == issuer.subject


def test_the_control_is_run_once(run: Run, tmp_path: Path) -> None:
    """All attacks share one untouched tunnel."""
    count = tmp_path / "count"
    run(["sh", "-c", f"echo >>'{count}'"], "rogue_ca", "self_signed")

    assert count.read_text() == "\n"
