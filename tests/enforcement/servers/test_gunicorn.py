from collections.abc import Callable

import pytest


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_recipe(
    worker: str,
    expected: object,
    answers_of: Callable[..., object],
    python_of: Callable[[str, str], str],
) -> None:
    """The right client is served by name, and nothing of any other reaches the application."""
    files = {
        "gunicorn.conf.py": python_of("gunicorn", "The configuration"),
        "app.py": python_of("gunicorn", "The application"),
    }

    assert expected == answers_of(files, "-m", "gunicorn", "-k", worker, "app:application")
