"""The clients of `examples/clients` under the lab, held against `docs/lab-results.md`.

After a change of the attacks or the clients `make lab` writes that page anew; its difference says
what changed, and has to be explained.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.lab.attack import attacks
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage
from tests.lab.clients import CLIENTS, Client
from tests.lab.results import FAILURES, PAGE, measure, read

# urllib does not send a host in other letters than ASCII, nor does it take an HTTPS proxy.
NOT_URLLIB = {"long_s_in_host", "through_https_proxy"}
# Those of which `tests/lab/attacks` has each attack in this process already.
MEASURED_ELSEWHERE = {"PinningContext", "requests", "httpx", "aiohttp", "mail"}

# Where the resolver does not know the name with a dot, this one applies to nobody.
BY_RESOLVER = {"trailing_dot"}

HTTPS = [client for client in CLIENTS if client.transport == "https"]


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, str]]:
    """The cells of the page, by client and attack."""
    return read(PAGE.read_text("utf-8"))


def _prepared(client: Client, folder: Path) -> list[str]:
    """Return how a client is run; skip the test where that is not possible."""
    if client.lacks is not None:
        pytest.skip(f"needs {client.lacks}")
    if not client.is_ours and sys.version_info[:2] != (3, 11):
        pytest.skip("no client of ours: the page was made with Python 3.11")
    return client.prepared(folder)


def test_the_page_is_whole(shown: dict[str, dict[str, str]]) -> None:
    """It has each client and each attack, and each applies to somebody."""
    names = {attack.id for attack in attacks()}

    assert [client.name for client in CLIENTS] == list(shown)
    assert all(names == cells.keys() for cells in shown.values())
    unused = {one for one in names if all(cells[one] == "-" for cells in shown.values())}
    assert unused <= BY_RESOLVER


def test_holdfast_has_no_miss(shown: dict[str, dict[str, str]]) -> None:
    """Whatever way its rules come into a client."""
    ours = [client.name for client in CLIENTS if client.is_ours]

    assert ours
    assert {name: {} for name in ours} == {name: _failures(shown[name]) for name in ours}


def test_a_client_without_pins_falls_for_what_pins_are_for(
    shown: dict[str, dict[str, str]],
) -> None:
    """For each attack that says so of itself, and no other."""
    fooled = {
        attack.id
        for attack in attacks()
        if attack.fools_plain and attack.transport == "https" and attack.id not in NOT_URLLIB
    }

    seen = _failures(shown["urllib"])
    assert fooled - BY_RESOLVER == seen.keys() - BY_RESOLVER
    assert {"**missed**"} == {*seen.values()}


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "client",
    [client for client in CLIENTS if client.name not in MEASURED_ELSEWHERE],
    ids=lambda client: client.name,
)
def test_the_page_is_true(client: Client, shown: dict[str, dict[str, str]], tmp_path: Path) -> None:
    """What speaks against a client is what the page says, neither more nor less."""
    seen = measure(client, _prepared(client, tmp_path)).cells
    # A resolver may not know the name with a dot, a TLS library not a kind of key.
    applies = {attack for attack, cell in seen.items() if cell != "-"}
    expected = {
        attack: cell for attack, cell in _failures(shown[client.name]).items() if attack in applies
    }

    assert expected == _failures(seen)
    assert len(applies) > 3


@pytest.mark.parametrize("client", HTTPS, ids=lambda client: client.name)
def test_follows_redirects(client: Client, tmp_path: Path) -> None:
    """Each client goes where an honest server sends it, as attacks on a second URL need."""
    if client.build:
        pytest.skip("has to be built: the attacks that follow are among those of the page")
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
    command = _prepared(client, tmp_path)
    with (
        LabServer(stage.server, body=b"arrived\n") as second,
        LabServer(stage.server, redirects={"/": f"{second.url}/"}) as first,
    ):
        values = {"{url}": f"{first.url}/", "{policy}": environment["HOLDFAST_LAB_POLICY"]}
        done = subprocess.run(
            [values.get(word, word) for word in command],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )

    assert (0, "arrived") == (done.returncode, done.stdout.strip()), done.stderr
    assert [["GET / HTTP/1.1"]] == [list(one.requests) for one in second.connections]


def _failures(cells: dict[str, str]) -> dict[str, str]:
    return {attack: cell for attack, cell in cells.items() if cell in FAILURES}
