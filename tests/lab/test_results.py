import pytest

from holdfast.lab.attack import attacks
from tests.lab import results
from tests.lab.clients import CLIENTS, FOLDER, Client
from tests.lab.results import CAUGHT, FAILURES, PAGE, Column, page, read


def test_what_is_written_is_read() -> None:
    """The cells come back from the page, each under its client and attack."""
    words = [CAUGHT, *sorted(FAILURES)]
    columns = {
        client.name: Column(
            "1.0", {one.id: words[(at + number) % 5] for at, one in enumerate(attacks())}
        )
        for number, client in enumerate(CLIENTS)
    }

    assert {name: column.cells for name, column in columns.items()} == read(page(columns, ["now"]))


def test_the_page_was_made_by_this_program() -> None:
    """What stands around the cells is what would be written today."""
    text = PAGE.read_text("utf-8")

    assert text.startswith(results._HEAD)
    assert text.count("\n## ") == 4


def test_each_example_is_compared() -> None:
    """No client lies in the folder that nobody runs."""
    assert {client.file for client in CLIENTS} == {path.name for path in FOLDER.iterdir()}


def test_what_is_missing_is_named() -> None:
    """A client says which program it lacks."""
    client = Client(name="one", file="one.sh", pins="nothing", needs=("sh", "no-such-program"))

    assert "no-such-program" == client.lacks


def test_a_lab_that_fails_is_an_error() -> None:
    """No page is made of nothing."""
    client = Client(name="one", file="one.sh", pins="nothing", transport="gopher")

    with pytest.raises(RuntimeError, match=r"one: .*gopher"):
        results.measure(client, ["true"])
