import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.lab.authorities import Authority

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_this_machine_can_enforce(run: Run) -> None:
    """Known-bad Pythons are warnings: the code is 0 and the self-test passes."""
    ran = run("doctor")

    assert "ok" in ran.stdout
    assert "right pin: answered; wrong pin: refused, 0 bytes sent" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("Pins are enforced here")
    assert (0, "") == (ran.returncode, ran.stderr)


def test_answers_as_json(run: Run) -> None:
    """Each check has a name, a status, a detail, and what to do where there is something."""
    report = json.loads(run("doctor", "--json").stdout)

    assert {"facts_checked", "checks"} == report.keys()
    for check in report["checks"]:
        assert ["name", "status", "detail", "rule", "action", "source"] == list(check)
        assert (check["status"] == "ok") == (check["rule"] is None)
    assert {"Python", "verified path", "trust store", "self-test, asyncio"} <= {
        check["name"] for check in report["checks"]
    }


def test_error_is_code_one(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty trust store is an error, and so is the verdict on the machine."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))

    ran = run("doctor")

    assert "it is empty: nothing can be verified" in ran.stdout
    assert "Pins cannot be relied on here: see the errors." == ran.stdout.splitlines()[-1]
    assert 1 == ran.returncode


@pytest.fixture
def settings(folder: Path) -> str:
    """Return settings with an exception for api.example.com, whose CA is in `ca.pem`."""
    (folder / "ca.pem").write_text(Authority.new("Inspection CA").pem)
    until = datetime.now(UTC) + timedelta(days=30)
    return (
        '[[exception]]\nhosts = ["api.example.com"]\nanchor = "ca.pem"\n'
        f'until = {until.isoformat()}\nreason = "ticket NET-12"\n'
    )


@pytest.mark.parametrize("place", ["default", "option", "variable"])
def test_local_exceptions_are_shown(
    run: Run, folder: Path, settings: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the settings come from, each exception is a warning with hosts, end and reason."""
    name = "holdfast.toml" if place == "default" else "mine.toml"
    (folder / name).write_text(settings)
    if place == "variable":
        monkeypatch.setenv("HOLDFAST_CONFIG", name)
    ran = run("doctor", "--json", *(("--config", name) if place == "option" else ()))
    (shown,) = [
        check for check in json.loads(ran.stdout)["checks"] if check["name"] == "local exception"
    ]

    assert ("warning", "HF509") == (shown["status"], shown["rule"])
    assert shown["detail"].startswith("in force: api.example.com, until ")
    assert "ticket NET-12" in shown["detail"]
    assert (0, "") == (ran.returncode, ran.stderr)


def test_a_local_exception_in_vain_is_shown(run: Run, folder: Path, settings: str) -> None:
    """The policy says on which hosts an exception has no effect."""
    (folder / "holdfast.toml").write_text(settings)
    (folder / "mine.toml").write_text('[holdfast]\nformat = 1\nunlisted = "refuse"\n')
    ran = run("doctor", "--json", "--policy", "mine.toml")

    assert ["HF510"] == [
        check["rule"]
        for check in json.loads(ran.stdout)["checks"]
        if check["name"] == "local exception"
    ]


def test_mistakes_in_the_settings_are_bad_input(run: Run, folder: Path, settings: str) -> None:
    """All of them are told at once, each with its place, and nothing else is printed."""
    (folder / "holdfast.toml").write_text(settings.replace("ca.pem", "no.pem") + "more = 1\n")
    ran = run("doctor")

    assert (2, "") == (ran.returncode, ran.stdout)
    assert "holdfast: error: holdfast.toml: exception[0].anchor: " in ran.stderr
    assert "holdfast: error: holdfast.toml: exception[0].more: " in ran.stderr
