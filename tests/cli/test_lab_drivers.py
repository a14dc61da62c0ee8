"""Which attacks get past clients that pin without Holdfast, or not at all, and why.

The table is what was measured: after a change of the attacks, correct it by what the failing
assertion shows, and say why. `holdfast lab run --json` tells the details.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.lab.attack import attacks
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

Run = Callable[..., subprocess.CompletedProcess[str]]
CLIENTS = Path(__file__).parents[2] / "examples" / "clients"

NO_DENIED_KEYS = "missed", "pins are all it knows: a stolen key stays pinned"
ONE_CERTIFICATE = "refused-honest", "a new certificate is refused, whatever its key"
NO_PINS = "missed", "a trusted CA is enough"
CHECKED_ONCE = "missed", "the pin is looked for in the first handshake only"
TO_HTTP = "missed", "a redirect to http:// is followed, where there is nothing to compare"
SECRETS = "missed", "whoever sets SSLKEYLOGFILE can read along"
EMPTY_IS_NONE = "missed", "an empty fingerprint switches pinning off"

# urllib does not send a host in other letters than ASCII, nor does it take an HTTPS proxy.
NOT_URLLIB = {"long_s_in_host", "through_https_proxy"}

# By client and attack: each outcome that speaks against the client, and why it is that.
GAPS: dict[str, dict[str, tuple[str, str]]] = {
    "aiohttp_fingerprint.py": {
        "denied_key": ONE_CERTIFICATE,
        "redirect_to_http": TO_HTTP,
        "renegotiation": CHECKED_ONCE,
        "trailing_dot": ONE_CERTIFICATE,
    },
    "curl.sh": {
        "denied_key": NO_DENIED_KEYS,
        "renegotiation": CHECKED_ONCE,
        "secrets_logged": SECRETS,
    },
    "node_https.js": {
        "denied_key": NO_DENIED_KEYS,
    },
    "plain_urllib.py": {
        attack.id: NO_PINS
        for attack in attacks()
        if attack.fools_plain and attack.transport == "https" and attack.id not in NOT_URLLIB
    },
    "urllib3_fingerprint.py": {
        "denied_key": ONE_CERTIFICATE,
        "empty_pin": EMPTY_IS_NONE,
        "redirect_to_http": TO_HTTP,
        "renegotiation": CHECKED_ONCE,
        "secrets_logged": SECRETS,
        "trailing_dot": ONE_CERTIFICATE,
    },
}
# Where the resolver does not know the name with a dot, this one does not apply.
BY_RESOLVER = {"trailing_dot"}
# What a client may decline: a policy that changes under it, a proxy, a Python that is patched, a
# key that it does not know.
BY_CLIENT = {attack.id for attack in attacks() if attack.may_decline}

PINNED = ("aiohttp_client.py", "httpx_client.py", "requests_client.py", "stdlib.py")


def _command(client: str) -> list[str]:
    """Return how a client is run; skip the test where that is not possible."""
    needed, interpreter = {
        ".js": ("node", "node"),
        ".py": (sys.executable, sys.executable),
        ".sh": ("curl", "sh"),
    }[Path(client).suffix]
    if shutil.which(needed) is None:
        pytest.skip(f"needs the {needed} command")
    return [interpreter, str(CLIENTS / client)]


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", GAPS)
def test_gaps(client: str, run: Run) -> None:
    """A client without Holdfast fails these attacks, in this way, and no others."""
    # All have a limit of 5 seconds. The lab's is far from it, since a loaded machine is slow.
    done = run("lab", "run", "--json", "--timeout", "30", "--", *_command(client), "{url}")
    results = json.loads(done.stdout)["results"]
    outcomes = {one["attack"]: one["outcome"] for one in results if one["outcome"] != "caught"}
    skipped = {attack for attack, outcome in outcomes.items() if outcome == "not-applicable"}
    other_transport = {attack.id for attack in attacks() if attack.transport != "https"}
    expected = {attack: outcome for attack, (outcome, _) in GAPS[client].items()}

    assert other_transport == skipped - BY_RESOLVER - BY_CLIENT
    assert expected | dict.fromkeys(skipped, "not-applicable") == outcomes


@pytest.mark.parametrize("client", [*PINNED, *GAPS])
def test_follows_redirects(client: str, tmp_path: Path) -> None:
    """Each client goes where an honest server sends it, as attacks on a second URL need."""
    stage = Stage.new()
    (tmp_path / "anchors.pem").write_text(stage.anchors_pem)
    (tmp_path / "pins.toml").write_text(stage.policy_toml())
    environment = os.environ | {
        "no_proxy": "localhost",
        "HOLDFAST_LAB_ANCHORS": str(tmp_path / "anchors.pem"),
        "HOLDFAST_LAB_POLICY": str(tmp_path / "pins.toml"),
        "HOLDFAST_LAB_PIN": stage.pin,
        "HOLDFAST_LAB_BACKUP": stage.backup_pin,
        "HOLDFAST_LAB_CERT_PIN": stage.server.cert_pin,
    }
    command = _command(client)
    with (
        LabServer(stage.server, body=b"arrived\n") as second,
        LabServer(stage.server, redirects={"/": f"{second.url}/"}) as first,
    ):
        done = subprocess.run(
            [*command, f"{first.url}/"],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )

    assert (0, "arrived", "") == (done.returncode, done.stdout.strip(), done.stderr)
    assert [["GET / HTTP/1.1"]] == [list(one.requests) for one in second.connections]
