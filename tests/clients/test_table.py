"""The table of libraries, and what it says, is what the tests run."""

import re
import sys

import pytest

from tests.clients.libraries import CONTEXT, HELPER, LIBRARIES, PROCESS, Library
from tests.clients.recipes import PAGES
from tests.clients.table import INDEX, with_table

OLDEST_PYTHON = (3, 11)  # for which the locked versions are compiled first


def _name(library: Library) -> str:
    return library.name


@pytest.mark.skipif(
    sys.version_info[:2] != OLDEST_PYTHON, reason="the table has the versions of Python 3.11"
)
def test_the_table_is_current() -> None:
    """If this fails, run `python -m tests.clients.table`."""
    text = INDEX.read_text("utf-8")

    assert with_table(text) == text


@pytest.mark.parametrize("library", LIBRARIES, ids=_name)
def test_a_recipe_catches_what_the_table_says(library: Library) -> None:
    """What a refusal raises, and each word of where pins go in, stands in the recipe."""
    code = library.code()

    assert f"except {library.raises}" in code
    assert set() == set(re.findall(r"\w+", library.place)) - set(re.findall(r"\w+", code))


@pytest.mark.parametrize("library", LIBRARIES, ids=_name)
def test_a_recipe_goes_the_way_that_the_table_says(library: Library) -> None:
    """Only what is process-wide installs, only what has a helper imports one."""
    code = library.code()
    installs = "holdfast.install(" in code
    helped = "holdfast.enforcement.clients" in code and "clients.retries" not in code

    assert library.route == {
        (False, False): CONTEXT,
        (False, True): HELPER,
        (True, False): PROCESS,
    }.get((installs, helped))


def test_each_recipe_of_the_new_pages_is_tested() -> None:
    """A section with Python on one of these pages is a library of the table."""
    pages = {"event-loops", "more-http", "databases", "messaging", "mail-files-directories"}
    shown = {
        (page, heading.partition("\n")[0])
        for page in pages | {"standard-library"}
        for heading in (PAGES / f"{page}.md").read_text("utf-8").split("\n## ")[1:]
        if "```python" in heading
    }

    assert shown == {
        (one.page, one.heading) for one in LIBRARIES if one.page in pages | {"standard-library"}
    }
