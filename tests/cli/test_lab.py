import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.lab.attack import attacks

Run = Callable[..., subprocess.CompletedProcess[str]]
CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
ROGUE_CA = "rogue_ca"
PINNED = ["stdlib", "requests_client", "httpx_client", "aiohttp_client"]


def _driver(name: str) -> tuple[str, ...]:
    return ("--", sys.executable, str(CLIENTS / f"{name}.py"), "{url}")


@pytest.mark.full
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", PINNED)
def test_pinned_clients_catch_everything(name: str, run: Run) -> None:
    """Each library pinned by Holdfast stops every attack that applies to it."""
    done = run("lab", "run", "--json", *_driver(name))
    summary = json.loads(done.stdout)["summary"]

    assert (0, "") == (done.returncode, done.stderr)
    assert len(attacks()) == summary["caught"] + summary["not-applicable"]


@pytest.mark.parametrize("name", PINNED)
def test_pinned_clients_catch_it(name: str, run: Run) -> None:
    """Each library pinned by Holdfast accepts the honest server and refuses the attacker."""
    done = run("lab", "run", "--only", ROGUE_CA, *_driver(name))

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.splitlines()[-1] == "1 caught"


def test_plain_client_misses_it(run: Run) -> None:
    """A client that verifies and does not pin is fooled, which is the exit code too."""
    done = run("lab", "run", "--only", ROGUE_CA, *_driver("plain_urllib"))

    assert (1, "") == (done.returncode, done.stderr)
    assert "application bytes reached the attacker" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 missed"


def test_certificate_pin_of_urllib3(run: Run) -> None:
    """urllib3's own check of the certificate stops this attack, as it should."""
    done = run("lab", "run", "--only", ROGUE_CA, *_driver("urllib3_fingerprint"))

    assert (0, "1 caught") == (done.returncode, done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("client", "timeout", "outcome"),
    [(["false"], "15", "refused-honest"), (["sleep", "600"], "0.2", "hung")],
)
def test_useless_clients(client: list[str], timeout: str, outcome: str, run: Run) -> None:
    """To refuse everything, or never to end, is no success."""
    done = run("lab", "run", "--only", ROGUE_CA, "--timeout", timeout, *client)

    assert (1, f"1 {outcome}") == (done.returncode, done.stdout.splitlines()[-1])


def test_formats(run: Run) -> None:
    """The same result is there as JSON, SARIF and JUnit, with the same exit code."""
    words = ("lab", "run", "--only", ROGUE_CA, "--format")
    runs = {name: run(*words, name, "--", "false") for name in ("json", "sarif", "junit")}
    (result,) = json.loads(runs["json"].stdout)["results"]
    (found,) = json.loads(runs["sarif"].stdout)["runs"][0]["results"]
    suite = ET.fromstring(runs["junit"].stdout.partition("\n")[2])[0]

    assert {1} == {done.returncode for done in runs.values()}
    assert (ROGUE_CA, "refused-honest") == (result["attack"], result["outcome"])
    assert (ROGUE_CA, "error") == (found["ruleId"], found["level"])
    assert ("1", "1") == (suite.get("tests"), suite.get("failures"))


def test_nothing_applies(run: Run) -> None:
    """Where no attack applies, nothing was determined."""
    done = run("lab", "run", "--only", ROGUE_CA, "--transport", "smtp", "--", "false")

    assert (3, "1 not-applicable") == (done.returncode, done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "missing argument"),
        (["run", "--", "no-such-program-anywhere"], "command not found: no-such-program-anywhere"),
        (["run", "--only", f"{ROGUE_CA},nonsense", "--", "true"], "no attack is called 'nonsense'"),
        (["run", "--transport", "https,ftp", "--", "true"], "'ftp' is none of https, smtp"),
        (["run", "--timeout", "0", "--", "true"], "invalid value for '--timeout'"),
        (["show", "nonsense"], "no attack is called 'nonsense'"),
    ],
)
def test_bad_input(words: list[str], message: str, run: Run) -> None:
    """What cannot be done is told in one line, with a hint, and exit code 2."""
    done = run("lab", *words)
    error, hint = done.stderr.splitlines()

    assert (2, "") == (done.returncode, done.stdout)
    assert error.startswith("holdfast: error: ")
    assert message in error
    assert hint.startswith("holdfast: hint: ")


def test_command_keeps_its_options(run: Run) -> None:
    """What stands behind COMMAND is its own, also without `--`."""
    done = run("lab", "run", "--only", ROGUE_CA, "--json", "false", "--timeout", "--json")

    assert ["false", "--timeout", "--json"] == json.loads(done.stdout)["command"]


def test_list_names_every_attack(run: Run) -> None:
    """The table and the JSON have a line for each attack."""
    ids = [attack.id for attack in attacks()]
    table = run("lab", "list").stdout.splitlines()[1:]

    assert ids == [line.split()[0] for line in table if not line.startswith(" ")]
    assert ids == [entry["attack"] for entry in json.loads(run("lab", "list", "--json").stdout)]


def test_show_describes(run: Run) -> None:
    """One attack is described with its text, its class, and what a plain client does."""
    (attack,) = [attack for attack in attacks() if attack.id == ROGUE_CA]
    shown = run("lab", "show", ROGUE_CA).stdout
    data = json.loads(run("lab", "show", ROGUE_CA, "--json").stdout)

    assert shown.startswith(attack.title)
    assert "a client that verifies falls for it" in shown
    assert (attack.description, attack.masvs) == (data["description"], tuple(data["masvs"]))
    assert {line.strip() for line in attack.description.splitlines()} <= {
        line.strip() for line in shown.splitlines()
    }


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """After Ctrl-C neither the client nor a file of the run is left."""
    pid = tmp_path / "pid"
    script = f"echo $$ >'{pid}.new'; mv '{pid}.new' '{pid}'; exec sleep 600"
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "lab", "run", "--only", ROGUE_CA, "sh", "-c", script],
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        for _ in range(1000):
            if pid.exists():
                break
            time.sleep(0.01)
        client = int(pid.read_text())
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=15)

    assert (130, b"") == (process.returncode, error.strip())
    with pytest.raises(ProcessLookupError):
        os.kill(client, 0)
    assert [pid] == list(tmp_path.iterdir())
