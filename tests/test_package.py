import subprocess
import sys

import pytest

import holdfast


def test_import_alone_loads_no_part() -> None:
    """`import holdfast` costs nothing until a name is used."""
    program = "import sys, holdfast; print(*(name for name in sys.modules if 'holdfast.' in name))"
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout

    assert [] == output.split()


@pytest.mark.parametrize("name", holdfast.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """Each name leads to the object of that name, and to the same one each time."""
    assert name == getattr(holdfast, name).__name__
    assert getattr(holdfast, name) is getattr(holdfast, name)


def test_other_names_are_not_there() -> None:
    """A misspelt name is the usual error."""
    with pytest.raises(AttributeError, match="PiningContext"):
        _ = holdfast.PiningContext
