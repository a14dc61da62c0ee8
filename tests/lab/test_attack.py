import smtplib
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.lab import attacks as package
from holdfast.lab.attack import Attack, AttackClass, attacks
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage

SOURCE = '''"""Something is wrong

First the chain.

Then the rest.
"""

from holdfast.lab.attack import AttackClass
from holdfast.lab.stage import Stage
from holdfast.lab.server import LabServer

ATTACK_CLASS = AttackClass.KEY
FOOLS_PLAIN = True


def rogue(stage: Stage) -> LabServer:
    return LabServer(stage.rogue.issue(stage.host))
'''


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Return a stage of which nothing is changed."""
    return Stage.new()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder whose modules are the attacks, instead of the real ones."""
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    monkeypatch.setattr(
        sys, "modules", {k: v for k, v in sys.modules.items() if package.__name__ + "." not in k}
    )
    attacks.cache_clear()
    yield tmp_path
    attacks.cache_clear()


def _module(**contents: object) -> ModuleType:
    module = ModuleType("some_attack", "A title.\n\nA text.\n")
    vars(module).update(
        {"ATTACK_CLASS": AttackClass.NAME, "FOOLS_PLAIN": False, "rogue": _rogue} | contents
    )
    return module


def _rogue(stage: Stage) -> LabServer:
    return LabServer(stage.rogue.issue(stage.host))


def test_attacks_are_found_by_being_there(folder: Path) -> None:
    """Each module is an attack, in folders too; its path is its id, and ids are sorted."""
    (folder / "zeta.py").write_text(SOURCE)
    (folder / "chain").mkdir()
    (folder / "chain" / "__init__.py").write_text('"""Chains."""\n')
    (folder / "chain" / "alpha.py").write_text(SOURCE)

    assert ["chain.alpha", "zeta"] == [attack.id for attack in attacks()]


def test_docstring_is_what_is_published(folder: Path) -> None:
    """The first line of the docstring is the title, the rest the description."""
    (folder / "one.py").write_text(SOURCE)
    (attack,) = attacks()

    assert attack.title == "Something is wrong"
    assert attack.description == "First the chain.\n\nThen the rest."
    assert (AttackClass.KEY, True) == (attack.attack_class, attack.fools_plain)


def test_module_says_what_differs(stage: Stage) -> None:
    """What a module does not say has a default, what it says counts."""
    plain = Attack.of(_module(), "plain")
    special = Attack.of(
        _module(
            STANDS_FOR=("CVE-2016-2402",),
            MASVS=("MASVS-NETWORK-2",),
            TRANSPORT="smtp",
            host=lambda stage: stage.host.upper(),
            denied=lambda stage: (stage.pin,),
            policy=lambda stage: f"# {stage.host}",
            honest=_rogue,
            misconfigure=lambda stage: {"pin": stage.host},
            HOLDS=("the server's key",),
            FOLLOWS=True,
            MAY_DECLINE="it is old",
        ),
        "special",
    )

    assert ((), "https", None) == (plain.stands_for, plain.transport, plain.denied)
    assert plain.masvs == ("MASVS-NETWORK-1", "MASVS-NETWORK-2")
    assert plain.host(stage) == "localhost"
    assert special.stands_for == ("CVE-2016-2402",)
    assert special.masvs == ("MASVS-NETWORK-2",)
    assert special.host(stage) == "LOCALHOST"
    assert special.denied is not None
    assert special.denied(stage) == (stage.pin,)
    assert special.honest is _rogue
    assert special.policy_toml(stage) == "# localhost"
    assert ((), False, None) == (plain.holds, plain.follows, plain.may_decline)
    assert special.holds == ("the server's key",)
    assert special.misconfigure is not None
    assert {"pin": "localhost"} == special.misconfigure(stage)
    assert (True, "it is old") == (special.follows, special.may_decline)
    assert plain.policy_toml(stage) == stage.policy_toml()


def test_incomplete_module_is_an_error() -> None:
    """A module that lacks an attacking server is no attack."""
    module = _module()
    del module.rogue

    with pytest.raises(AttributeError, match="rogue"):
        Attack.of(module, "broken")


def test_anchors_include_the_attacker(stage: Stage) -> None:
    """A client that trusts the anchors accepts the honest and the attacking server alike."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    attack = Attack.of(_module(), "rogue")
    for make in (attack.honest, attack.rogue):
        with (
            make(stage) as server,
            urllib.request.urlopen(server.url, context=context, timeout=5) as response,
        ):
            assert response.status == 200


def test_honest_server_speaks_the_transport(stage: Stage) -> None:
    """The honest server of an attack on SMTP does STARTTLS with the right key."""
    context = ssl.create_default_context(cadata=stage.anchors_pem)
    attack = Attack.of(_module(TRANSPORT="smtp"), "mail")
    with (
        attack.honest(stage) as server,
        smtplib.SMTP(server.host, server.port, timeout=5) as client,
    ):
        client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        assert stage.server.der == client.sock.getpeercert(binary_form=True)


def test_what_is_told_otherwise(stage: Stage) -> None:
    """A spelling is told as the host, beside what else the client is told."""
    plain = Attack.of(_module(), "plain")
    special = Attack.of(
        _module(misconfigure=lambda stage: {"pin": ""}, spelling=lambda stage: stage.host.title()),
        "special",
    )

    assert ({}, False) == (plain.told(stage), plain.may_stay_away)
    assert {"pin": "", "host": "Localhost"} == special.told(stage)
    assert special.may_stay_away


def test_another_identity_may_be_pinned(stage: Stage) -> None:
    """An attack may take place on a stage whose server is another one."""
    attack = Attack.of(_module(server=lambda stage: stage.backup), "special")
    setting = attack.setting(stage)

    assert stage.backup == setting.server
    assert stage.pin not in attack.policy_toml(setting)
    assert stage is Attack.of(_module(), "plain").setting(stage)
