import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.lab.attack import attacks
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer

Run = Callable[..., subprocess.CompletedProcess[str]]
CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
ROGUE_CA = "rogue_ca"
PINNED = ["stdlib", "requests_client", "httpx_client", "aiohttp_client"]


def _driver(name: str) -> tuple[str, ...]:
    return ("--", sys.executable, str(CLIENTS / f"{name}.py"), "{url}")


# A context does not see these: the library has to be told where it may be sent on to.
LEFT = {"redirect_to_http", "redirect_to_unlisted_host"}
# What is not for a client of HTTPS here, or not for each: a trailing dot is up to the resolver.
OTHERS = {attack.id for attack in attacks() if attack.transport != "https"}
UNUSUAL = {attack.id for attack in attacks() if attack.id.startswith("unusual_key_")}


@pytest.mark.full
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PINNED)
def test_pinned_clients_catch_everything(name: str, run: Run) -> None:
    """Each library pinned by Holdfast stops every attack that applies to it."""
    done = run("lab", "run", "--json", "--timeout", "30", *_driver(name))
    results = {one["attack"]: one["outcome"] for one in json.loads(done.stdout)["results"]}
    assert {"caught", "not-applicable"} == {*results.values()}, done.stdout
    declined = {one.id for one in attacks() if one.may_decline} - UNUSUAL

    assert (0, "") == (done.returncode, done.stderr)
    assert {attack.id for attack in attacks()} == results.keys()
    skipped = {attack for attack, outcome in results.items() if outcome == "not-applicable"}
    assert OTHERS <= skipped <= OTHERS | declined | {"trailing_dot"}


def test_pinned_mail(run: Run) -> None:
    """Smtplib and imaplib pinned by Holdfast stop each attack on them."""
    done = run(
        "lab", "run", "--transport", "smtp,imap", "--only", ",".join(OTHERS), *_driver("mail")
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert f"{len(OTHERS)} caught" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["stdlib", "plain_urllib"])
def test_redirects_that_leave(name: str, run: Run) -> None:
    """A client that follows anywhere is told so, and one that stays with its pins passes."""
    done = run("lab", "run", "--json", "--only", ",".join(LEFT), *_driver(name))
    outcomes = {one["outcome"] for one in json.loads(done.stdout)["results"]}

    assert {"caught" if name == "stdlib" else "missed"} == outcomes


@pytest.mark.parametrize("version", ["12", "13"])
def test_a_client_certificate_is_kept_back(version: str, run: Run) -> None:
    """A blocking client with a certificate ends the connection before it would leave."""
    attack = f"client_certificate_asked_tls{version}"
    words = [*_driver("stdlib"), "{client_certificate}"]
    done = run("lab", "run", "--only", f"{attack},rogue_ca", "--json", *words)
    moments = {one["moment"] for one in json.loads(done.stdout)["results"]}

    assert (0, "") == (done.returncode, done.stderr)
    assert {"before the client's certificate"} == moments


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
        (["run", "--transport", "https,ftp", "--", "true"], "'ftp' is none of https, smtp, imap"),
        (["run", "--timeout", "0", "--", "true"], "invalid value for '--timeout'"),
        (["run", "--jobs", "0", "--", "true"], "invalid value for '--jobs'"),
        (["run", "--anchors", "none.pem", "--", "true"], "none.pem"),
        (["run", "--anchors", "bad.pem", "--", "true"], "bad.pem"),
        (["run", "--proxy", "--", "true"], "--proxy needs to know whom the client connects to"),
        (["run", "--proxy", "--host", "a b", "--", "true"], "a b"),
        (["run", "--host", "a.example", "--", "true"], "--host is for a client that was shipped"),
        (["run", "--bind", "127.0.0.2", "--", "true"], "--bind is for a client"),
        (["run", "--bind", "here", "--", "true"], "'here' is no IP address"),
    ],
)
def test_bad_input(words: list[str], message: str, run: Run, folder: Path) -> None:
    """What cannot be done is told in one line, with a hint, and exit code 2."""
    (folder / "bad.pem").write_text("no certificate")
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


@pytest.mark.parametrize("command", [("run", "--", "touch", "ran"), ("serve", "--all")])
def test_a_page_that_cannot_be_printed_is_told_first(
    command: tuple[str, ...], run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what the HTML page needs, nothing is run in vain."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run("lab", command[0], "--format", "html", *command[1:])

    assert 2 == done.returncode
    assert "the HTML page needs jinja2" in done.stderr
    assert not (folder / "ran").exists()


SHIPPED = """
import http.client, os, ssl
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["https_proxy"])
context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
client = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=5, context=context)
client.set_tunnel("api.example.com", 443)
client.request("GET", "/")
client.getresponse().read()
"""


@pytest.fixture
def upstream(authority: Authority) -> Iterator[LabServer]:
    """Return the real server behind the proxy."""
    with LabServer(authority.issue("api.example.com")) as server:
        yield server


def test_shipped_client(run: Run, upstream: LabServer, folder: Path) -> None:
    """A client whose host is fixed is attacked on its way; what to set on a phone is said."""
    (folder / "pins.toml").write_text("shipped")
    (folder / "client.py").write_text(SHIPPED)
    words = ["--proxy", "--host", "api.example.com", "--upstream", f"localhost:{upstream.port}"]
    words += ["--anchors", "ca.pem", "--policy", "pins.toml", "--only", "rogue_ca,self_signed"]
    done = run("lab", "run", *words, "--json", "--", sys.executable, "client.py")
    data = json.loads(done.stdout)

    assert 1 == done.returncode
    assert ["missed", "caught"] == [result["outcome"] for result in data["results"]]
    assert data["evidence"]["policies"].keys() == {"pins.toml"}
    assert "proxy: http://127.0.0.1:" in done.stderr
    assert "trust the certificate" in done.stderr


def test_unreachable_upstream(run: Run) -> None:
    """Where the real server cannot be reached, nothing was determined."""
    words = ("--proxy", "--host", "api.example.com", "--upstream", "127.0.0.1:1")
    done = run("lab", "run", *words, "--", "true")

    assert 3 == done.returncode
    assert "127.0.0.1:1: the real server cannot be reached" in done.stderr


def test_unreadable_policy(run: Run) -> None:
    """A policy that is to be evidence has to be there."""
    done = run("lab", "run", "--proxy", "--host", "a.example", "--policy", "no.toml", "--", "true")

    assert (2, "holdfast: error: no.toml: No such file or directory\n") == (
        done.returncode,
        done.stderr,
    )


def test_evidence(run: Run) -> None:
    """The JSON has the exact options, versions, the digests of the program and of the policy."""
    done = run("lab", "run", "--only", ROGUE_CA, "--timeout", "9", "--json", "--", "false")
    evidence = json.loads(done.stdout)["evidence"]

    assert ["--only=rogue_ca", "--timeout=9.0", "--json"] == evidence["arguments"]
    assert [ROGUE_CA] == list(evidence["policies"])
    assert ["false"] == [Path(name).name for name in evidence["files"]]


def test_html(run: Run) -> None:
    """The page is one HTML document on stdout."""
    done = run("lab", "run", "--only", ROGUE_CA, "--format", "html", "--", "false")

    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>")
    assert "refused-honest" in done.stdout


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
