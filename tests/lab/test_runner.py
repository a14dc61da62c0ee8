import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, AttackClass, Stage
from holdfast.lab.judgment import Moment, Outcome, Result
from holdfast.lab.runner import Runner
from holdfast.lab.server import LabServer

PLAIN = """
import os, ssl, sys, urllib.request
context = ssl.create_default_context()
urllib.request.urlopen(sys.argv[1], context=context, timeout=5).read()
"""
PINNED = """
import base64, hashlib, socket, ssl, sys
host, port, pinned = sys.argv[1:]
context = ssl.create_default_context()
with socket.create_connection((host, int(port)), 5) as tcp:
    with context.wrap_socket(tcp, server_hostname=host) as tls:
        digest = hashlib.sha256(tls.getpeercert(True)).digest()
        if "cert-sha256/" + base64.b64encode(digest).decode() != pinned:
            sys.exit("wrong key")
        tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        tls.recv(1000)
"""
MAIL = """
import smtplib, ssl, sys
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=5) as client:
    client.starttls(context=ssl.create_default_context())
    client.noop()
"""
Client = Callable[..., Result]


def _rogue(stage: Stage) -> LabServer:
    return LabServer(stage.rogue.issue(stage.host))


def _served(stage: Stage) -> LabServer:
    return LabServer(stage.server)


ROGUE_CA = Attack(
    id="rogue",
    title="",
    description="",
    attack_class=AttackClass.CHAIN,
    fools_plain=True,
    rogue=_rogue,
    honest=_served,
    host=lambda stage: stage.host,
)


def _attacked(*command: str, attack: Attack = ROGUE_CA, timeout: float = 15) -> Result:
    with Runner(command, timeout=timeout) as runner:
        return runner.run(attack)


def _python(source: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source, *arguments)


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be reaped does not."""
    listing = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return listing.stdout[:1] not in {"", "Z"}


def test_plain_client_misses_it() -> None:
    """A client that trusts the anchors, and pins nothing, sends the attacker its request."""
    result = _attacked(*_python(PLAIN, "{url}"))

    assert (Outcome.MISSED, Moment.AFTER) == (result.outcome, result.moment)


def test_pinning_client_catches_it() -> None:
    """A client that compares before it sends accepts the honest server only."""
    result = _attacked(*_python(PINNED, "{host}", "{port}", "{cert_pin}"))

    assert (Outcome.CAUGHT, Moment.BEFORE_DATA) == (result.outcome, result.moment)


def test_refusing_everything_scores_nothing() -> None:
    """A client that refuses the right key too has refused an honest server, and says why."""
    result = _attacked(*_python(PINNED, "{host}", "{port}", "some other pin"))

    assert result.outcome is Outcome.REFUSED_HONEST
    assert result.detail.endswith("the client said: wrong key")


def test_client_that_does_nothing() -> None:
    """A client that ends well without a request has refused the honest server as well."""
    assert Outcome.REFUSED_HONEST is _attacked("true").outcome


def test_hanging_client_is_killed_with_its_children(tmp_path: Path) -> None:
    """When time is up, the client and what it started are gone."""
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! >'{pids}'; echo $$ >>'{pids}'; wait"
    result = _attacked("sh", "-c", script, timeout=1)

    assert result.outcome is Outcome.HUNG
    assert [False, False] == [_is_alive(int(pid)) for pid in pids.read_text().split()]


def test_children_do_not_survive_a_good_end(tmp_path: Path) -> None:
    """A process that the client leaves behind is killed too."""
    pids = tmp_path / "pids"
    _attacked("sh", "-c", f"sleep 600 & echo $! >'{pids}'")

    assert not _is_alive(int(pids.read_text()))


def test_crash() -> None:
    """A client that dies of a signal has crashed."""
    assert Outcome.CRASHED is _attacked("sh", "-c", "kill -SEGV $$").outcome


@pytest.mark.parametrize("word", ["{pin}", "$HOLDFAST_LAB_BACKUP"])
def test_denied_keys_need_a_policy(word: str) -> None:
    """An attack by a denied key does not apply to a command that takes pins alone."""
    attack = replace(ROGUE_CA, denied=lambda stage: (stage.pin,))
    result = _attacked("true", word, attack=attack)

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert "policy" in result.detail


def test_other_transports_do_not_apply() -> None:
    """A client that was not said to speak SMTP is not run for an attack on SMTP."""
    result = _attacked("true", attack=replace(ROGUE_CA, transport="smtp"))

    assert (Outcome.NOT_APPLICABLE, "needs --transport smtp") == (result.outcome, result.detail)


def test_names_that_lead_elsewhere_do_not_apply() -> None:
    """A name that nobody can look up would make every client look careful."""
    result = _attacked("true", attack=replace(ROGUE_CA, host=lambda _: "no.such.host.invalid"))

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert "no.such.host.invalid does not lead to 127.0.0.1" in result.detail


def test_smtp() -> None:
    """A client without pins speaks to the attacker after STARTTLS."""
    attack = replace(
        ROGUE_CA,
        transport="smtp",
        honest=lambda stage: LabServer(stage.server, starttls="smtp"),
        rogue=lambda stage: LabServer(stage.rogue.issue(stage.host), starttls="smtp"),
    )
    with Runner(_python(MAIL, "{host}", "{port}"), transports=["smtp"], timeout=15) as runner:
        assert Outcome.MISSED is runner.run(attack).outcome


def test_what_the_client_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place-holders and variables say the same, what is trusted is set, proxies are not."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    shown = tmp_path / "shown"
    names = ("url", "host", "port", "anchors", "pin", "backup", "cert_pin", "policy")
    source = (
        "import json, os, sys\n"
        f"shown = {{'arguments': sys.argv[1:], **os.environ}}\n"
        "for name in ('ANCHORS', 'POLICY', 'CLIENT_CERTIFICATE'):\n"
        "    shown['text of ' + name] = open(os.environ['HOLDFAST_LAB_' + name]).read()\n"
        f"open({str(shown)!r}, 'w').write(json.dumps(shown))"
    )
    attack = replace(
        ROGUE_CA, host=lambda _: "127.0.0.1", denied=lambda stage: (stage.rogue.spki_pin,)
    )
    _attacked(*_python(source, *(f"{{{name}}}" for name in names), "{other}"), attack=attack)
    given = json.loads(shown.read_text())
    variables = {name: given[f"HOLDFAST_LAB_{name.upper()}"] for name in names}

    assert [*variables.values(), "{other}"] == given["arguments"]
    assert variables["url"] == f"https://127.0.0.1:{variables['port']}/"
    assert variables["anchors"] == given["SSL_CERT_FILE"] == given["REQUESTS_CA_BUNDLE"]
    assert "https_proxy" not in given
    assert given["text of ANCHORS"].count("BEGIN CERTIFICATE") == 2
    assert variables["pin"] in given["text of POLICY"]
    assert "denied = []" not in given["text of POLICY"]
    assert "PRIVATE KEY" in given["text of CLIENT_CERTIFICATE"]
    assert not os.path.lexists(variables["anchors"])  # the files are gone after the run


@pytest.mark.parametrize(
    ("command", "message"),
    [([], "no command"), (["no-such-program-anywhere"], "command not found: no-such-program")],
)
def test_no_such_command(command: list[str], message: str) -> None:
    """A command that cannot be run is told before anything starts."""
    with pytest.raises(HoldfastError, match=message):
        Runner(command)
