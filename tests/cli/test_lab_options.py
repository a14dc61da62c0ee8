import click
import pytest
from click.testing import CliRunner

from holdfast.cli.lab_options import attack_named, bind_option, words
from holdfast.errors import HoldfastError


@click.command()
@bind_option
def listen(bind: str) -> None:
    """Say where."""
    click.echo(bind)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_needs_no_warning(address: str) -> None:
    """Where only this machine can connect, nothing is said."""
    done = CliRunner().invoke(listen, ["--bind", address])

    assert (f"{address}\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_others_are_warned_of(address: str) -> None:
    """Where others can connect, that is said, and done all the same."""
    done = CliRunner().invoke(listen, ["--bind", address])

    assert f"{address}\n" == done.stdout
    assert f"holdfast: warning: {address}: whoever can reach this machine" in done.stderr


def test_attack_named() -> None:
    """An attack is found by its id, and by nothing less."""
    assert "rogue_ca" == attack_named("rogue_ca").id
    with pytest.raises(HoldfastError, match="no attack is called 'rogue'"):
        attack_named("rogue")


def test_words() -> None:
    """Words stand between commas, with spaces around them or without."""
    assert ["a", "b", ""] == words("a, b,")
