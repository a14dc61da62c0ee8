from collections.abc import Callable

# Said of each body that was there at once, whoever made the connection.
_QUIET = """\
import warnings
warnings.filterwarnings("ignore", "Using readBody with a transport", DeprecationWarning)
"""


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("pyopenssl", "Twisted", change=lambda code: _QUIET + code)
