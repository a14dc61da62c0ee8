import pytest

from holdfast.enforcement.started_programs import uncovered_reason

STARTUP = "/startup"
WITH = {"PYTHONPATH": "/other:/startup"}


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        (["python3", "app.py"], WITH, None),
        (["python3", "-m", "app", "-I"], WITH, None),
        (["python3", "app.py"], {}, "another environment"),
        (["python3", "app.py"], {"PYTHONPATH": "/startup2"}, "another environment"),
        (["python3", "-E", "app.py"], WITH, "started with -E"),
        (["curl", "https://localhost"], WITH, "no Python program"),
        ([], WITH, "no Python program"),
    ],
)
def test_what_enforcement_comes_into(
    command: list[str], environment: dict[str, str], expected: str | None
) -> None:
    """A Python that gets the environment and heeds it; everything else has a reason."""
    reason = uncovered_reason(command, environment, STARTUP)

    assert (expected is None) is (reason is None)
    assert (expected or "") in (reason or "")


def test_without_an_environment_it_is_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `subprocess` has it."""
    monkeypatch.setenv("PYTHONPATH", STARTUP)
    assert uncovered_reason(["python"], None, STARTUP) is None

    monkeypatch.delenv("PYTHONPATH")
    assert uncovered_reason(["python"], None, STARTUP) is not None
