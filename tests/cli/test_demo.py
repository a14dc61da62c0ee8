import io
import json

import pytest
from rich.console import Console

from holdfast.cli import demo
from holdfast.cli.main import main
from holdfast.pins.policy import Policy, Unlisted
from holdfast.scenarios.stage import Stage


@pytest.fixture
def sabotaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo's policy pin nothing."""
    monkeypatch.setattr(Stage, "policy", lambda _: Policy(unlisted=Unlisted.ALLOW))


def test_demo_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 0 after six steps, a refusal with its explanation, and what to type next."""
    code = main(["demo"])
    out, err = capsys.readouterr()

    assert (0, "") == (code, err)
    assert list("123456") == [line[0] for line in out.splitlines() if line[1:2] == " " < line[:1]]
    assert "attacker's log TLSv1.3 handshake, then 0 bytes" in out
    assert "refused: mismatch" in out
    assert "holdfast pin HOST --new-backup next.key" in out


def test_piped_output_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Through a pipe there are no control sequences, and no line has more than 100 columns."""
    main(["demo"])
    out = capsys.readouterr().out

    assert out.replace("\n", "").isprintable()
    assert 100 >= max(map(len, out.splitlines()))


def test_colored_where_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal the titles stand out."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    main(["demo"])

    assert "\x1b[1m1 The bank answers" in capsys.readouterr().out


def test_narrow_terminal() -> None:
    """On 80 columns sentences are broken earlier, further lines below the first word."""
    file = io.StringIO()
    page = demo._Page(Console(file=file, width=80))
    page.write("one two three " * 10, label="  who  ")
    first, second, *_ = file.getvalue().splitlines()

    assert first.startswith("  who  one")
    assert second.startswith(" " * len("  who  ") + "t")
    assert 80 >= max(len(first), len(second))


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON each step has its evidence, and the last one the explanation."""
    code = main(["demo", "--json"])
    told = json.loads(capsys.readouterr().out)

    assert 0 == code
    assert told["as_expected"] is True
    assert [True] * 6 == [step["as_expected"] for step in told["steps"]]
    assert {"who": "attacker's log", "what": "TLSv1.3 handshake, then 0 bytes"} in told["steps"][2][
        "evidence"
    ]
    assert "docs/runbooks/" in told["steps"][-1]["explanation"]


@pytest.mark.usefixtures("sabotaged")
def test_sabotage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps that did not happen as told say so where they stand and at the end; exit code 1."""
    code = main(["demo"])
    out = capsys.readouterr().out

    assert 1 == code
    assert 5 == out.count("THIS DID NOT HAPPEN AS TOLD")
    assert "Not as told: step 1, 3, 4, 5, 6." in out
    assert "happened as told" not in out


@pytest.mark.usefixtures("sabotaged")
def test_sabotage_shows_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, too, a step that did not happen as told makes the whole fail with exit code 1."""
    code = main(["demo", "--format", "json"])
    told = json.loads(capsys.readouterr().out)

    assert 1 == code
    assert told["as_expected"] is False
    assert told["steps"][2]["as_expected"] is False
    assert told["steps"][-1]["explanation"] is None


def test_demo_needs_loopback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the servers cannot be reached nothing was determined, which is told in two lines."""

    def unreachable(*_arguments: object) -> None:
        raise TimeoutError("the server's log is still []")

    monkeypatch.setattr(Stage, "ask", unreachable)

    assert 3 == main(["demo", "--json"])
    assert [
        "holdfast: error: a server on loopback was not reached: the server's log is still []",
        "holdfast: hint: make sure that this machine can connect to 127.0.0.1, and try again",
    ] == capsys.readouterr().err.splitlines()
