import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, AttackClass
from holdfast.lab.authorities import Authority
from holdfast.lab.dialogues import lead_on, overheard
from holdfast.lab.judgment import Moment, Outcome, Result
from holdfast.lab.proxied import http_proxy
from holdfast.lab.runner import Runner
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

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


def test_hanging_client() -> None:
    """A client that does not end has hung."""
    assert Outcome.HUNG is _attacked("sleep", "600", timeout=0.2).outcome


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


def test_what_the_client_is_given(tmp_path: Path) -> None:
    """Place-holders and variables say the same, and the files that they name hold what they say."""
    shown = tmp_path / "shown"
    names = ("url", "host", "port", "anchors", "pin", "backup", "cert_pin", "policy")
    source = (
        "import json, os, sys\n"
        "shown = {'arguments': sys.argv[1:], **os.environ}\n"
        "for name in ('ANCHORS', 'POLICY', 'CLIENT_CERTIFICATE'):\n"
        "    shown['text of ' + name] = open(os.environ['HOLDFAST_LAB_' + name]).read()\n"
        f"open({str(shown)!r}, 'w').write(json.dumps(shown))"
    )
    attack = replace(
        ROGUE_CA, host=lambda _: "127.0.0.1", denied=lambda stage: (stage.rogue.spki_pin,)
    )
    command = _python(source, *(f"{{{name}}}" for name in names), "{other}")
    with Runner(command, anchors_pem=Authority.new("Third").pem) as runner:
        runner.run(attack)
    given = json.loads(shown.read_text())
    variables = {name: given[f"HOLDFAST_LAB_{name.upper()}"] for name in names}

    assert [*variables.values(), "{other}"] == given["arguments"]
    assert variables["url"] == f"https://127.0.0.1:{variables['port']}/"
    assert variables["anchors"] == given["SSL_CERT_FILE"]
    assert given["text of ANCHORS"].count("BEGIN CERTIFICATE") == 3
    assert variables["pin"] in given["text of POLICY"]
    assert "denied = []" not in given["text of POLICY"]
    assert "PRIVATE KEY" in given["text of CLIENT_CERTIFICATE"]
    assert not os.path.lexists(variables["anchors"])  # the files are gone after the run


def test_attacks_share_a_control(tmp_path: Path) -> None:
    """Attacks with the same honest server, host and policy take one run of it, others their own."""
    ports = tmp_path / "ports"
    other = replace(ROGUE_CA, id="other")
    denied = replace(ROGUE_CA, id="denied", denied=lambda stage: (stage.rogue.spki_pin,))
    command = ("sh", "-c", f"echo {{port}} >>'{ports}'")
    with Runner(command) as runner:
        results = runner.run_all([ROGUE_CA, other, denied])

    assert [Outcome.REFUSED_HONEST] * 3 == [result.outcome for result in results]
    assert 2 == len(ports.read_text().splitlines())


def test_results_come_in_the_order_of_the_attacks() -> None:
    """However long each takes, the order is that of the attacks, and each end is told."""
    ends: list[None] = []
    chosen = [replace(ROGUE_CA, id=name) for name in ("c", "a", "b")]
    with Runner(_python(PLAIN, "{url}"), timeout=15) as runner:
        results = runner.run_all(chosen, lambda: ends.append(None), jobs=3)

    assert ["c", "a", "b"] == [result.attack.id for result in results]
    assert {Outcome.MISSED} == {result.outcome for result in results}
    assert 3 == len(ends)


def test_what_cannot_be_started_ends_all(tmp_path: Path) -> None:
    """A command that is no program is an error, with any number of workers."""
    program = tmp_path / "client"
    program.write_text("no program")
    program.chmod(0o755)
    chosen = [replace(ROGUE_CA, id=name) for name in "abc"]
    with Runner([str(program)]) as runner, pytest.raises(OSError, match="Exec format error"):
        runner.run_all(chosen)


def test_what_the_lab_cannot_do_does_not_apply() -> None:
    """An attack that needs something which is not installed is named, with the remedy."""

    def fail(_stage: Stage) -> LabServer:
        raise HoldfastError("it needs more", hint="install more")

    result = _attacked(*_python(PLAIN, "{url}"), attack=replace(ROGUE_CA, rogue=fail))

    assert (Outcome.NOT_APPLICABLE, "it needs more (install more)") == (
        result.outcome,
        result.detail,
    )


def test_the_policy_changes_under_the_client(tmp_path: Path) -> None:
    """What the stage publishes is in the client's policy while it runs."""

    def change(stage: Stage) -> LabServer:
        stops = [lambda: stage.publish("# changed")]
        return LabServer(stage.server, dialogue=lead_on(stage.host, stops))

    source = PLAIN + "print(open(sys.argv[2]).read().splitlines()[0])"
    attack = replace(ROGUE_CA, honest=change, follows=True)
    with Runner(_python(source, "{url}", "{policy}"), timeout=15) as runner:
        runner.run(attack)
        control = runner._folder / "rogue-control"

        assert "# changed" == (control / "output").read_text().strip()
        assert ["output", "pins.toml"] == sorted(file.name for file in control.iterdir())


def test_what_is_told_otherwise_during_the_attack(tmp_path: Path) -> None:
    """The control is told the truth; in the attack pin and policy are what the attack says."""
    seen = tmp_path / "seen"
    attack = replace(ROGUE_CA, misconfigure=lambda _: {"pin": "", "policy": "# nothing"})
    source = PLAIN + f"open({str(seen)!r}, 'a').write(repr(sys.argv[2]) + open(sys.argv[3]).read())"
    with Runner(_python(source, "{url}", "{pin}", "{policy}"), timeout=15) as runner:
        runner.run(attack)
        pin, text = runner._stage.pin, attack.policy_toml(runner._stage)

    assert f"{pin!r}{text}''# nothing" == seen.read_text()


def test_the_policy_has_a_digest() -> None:
    """The digest is that of the file that the client is given."""
    with Runner(("true",)) as runner:
        text = ROGUE_CA.policy_toml(runner._stage)

        assert hashlib.sha256(text.encode()).hexdigest() == runner.policy_sha256(ROGUE_CA)


PROXIED = """
import os, ssl, urllib.request
context = ssl.create_default_context(cafile=os.environ["HOLDFAST_LAB_ANCHORS"])
urllib.request.urlopen(os.environ["HOLDFAST_LAB_URL"], context=context, timeout=5).read()
"""


def test_a_client_comes_through_a_proxy() -> None:
    """The variables name the proxy, and what is behind it is what the client is judged by."""
    attack = replace(
        ROGUE_CA,
        proxy="http",
        honest=lambda stage: http_proxy(stage.server),
        rogue=lambda stage: http_proxy(stage.rogue.issue(stage.host)),
    )

    assert Outcome.MISSED is _attacked(*_python(PROXIED), attack=attack).outcome


def test_anchors_and_spelling_change_during_the_attack(tmp_path: Path) -> None:
    """The control has the usual ones; in the attack there are others in another file."""
    seen = tmp_path / "seen"
    attack = replace(
        ROGUE_CA,
        misconfigure=lambda stage: {"anchors": stage.rogue.pem},
        spelling=lambda _: "127.0.0.1",
    )
    source = PLAIN + f"print(sys.argv[2], open(sys.argv[3]).read(), file=open({str(seen)!r}, 'a'))"
    with Runner(_python(source, "{url}", "{host}", "{anchors}"), timeout=15) as runner:
        result = runner.run(attack)
        stage = runner._stage

    # The name is not in the attacker's certificate, so that the client ends before it prints.
    assert Outcome.CAUGHT is result.outcome
    assert f"localhost {stage.anchors_pem}\n" == seen.read_text()


def test_variables_and_loot() -> None:
    """A client gets the attacker's variables, and what it leaves in the folder is loot."""
    attack = replace(
        ROGUE_CA,
        rogue=lambda stage: LabServer(stage.server, dialogue=overheard),
        environment=lambda folder: {"LEAK": str(folder / "leak")},
        loot=lambda folder: (folder / "leak").read_bytes(),
    )
    source = PLAIN + "open(os.environ['LEAK'], 'w').write('secret')"
    result = _attacked(*_python(source, "{url}"), attack=attack)

    assert (Outcome.MISSED, "the attacker found 6 bytes of secrets") == (
        result.outcome,
        result.detail,
    )


def test_variables_without_effect() -> None:
    """Where the attacker's variables do nothing the attack does not apply."""
    attack = replace(
        ROGUE_CA, environment=lambda _: {}, in_effect=lambda _: False, may_decline="it is in C"
    )

    assert Outcome.NOT_APPLICABLE is _attacked(*_python(PLAIN, "{url}"), attack=attack).outcome


def test_the_pinned_identity_may_be_another() -> None:
    """What the attack pins is what the honest server shows and the client is told."""
    attack = replace(
        ROGUE_CA, server=lambda stage: stage.backup, honest=lambda stage: LabServer(stage.server)
    )
    result = _attacked(*_python(PINNED, "{host}", "{port}", "{cert_pin}"), attack=attack)

    assert Outcome.CAUGHT is result.outcome
