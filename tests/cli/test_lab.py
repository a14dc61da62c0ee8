import json
import subprocess
from collections.abc import Callable

from holdfast.lab.attack import attacks

Run = Callable[..., subprocess.CompletedProcess[str]]
ROGUE_CA = "rogue_ca"


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
    assert list(attack.holds) == data["holds"]
    assert (attack.description, attack.masvs) == (data["description"], tuple(data["masvs"]))
    assert {line.strip() for line in attack.description.splitlines()} <= {
        line.strip() for line in shown.splitlines()
    }


def test_unknown_attack(run: Run) -> None:
    """An id that there is not is told in one line, with where to find them."""
    done = run("lab", "show", "nonsense")

    assert (2, "") == (done.returncode, done.stdout)
    assert "no attack is called 'nonsense'" in done.stderr
    assert "holdfast: hint: " in done.stderr
