"""Started without the packages of the `cli` extra, the command says what to install."""

import subprocess
import sys

START = "import sys; from holdfast.__main__ import main; sys.exit(main())"


def _start_without(module: str) -> subprocess.CompletedProcess[str]:
    hide = f"import sys; sys.modules[{module!r}] = None; "
    return subprocess.run(
        [sys.executable, "-c", hide + START], check=False, capture_output=True, text=True
    )


def test_missing_extra_is_named() -> None:
    """Without click: two lines on stderr, the second to be pasted, exit code 2, no traceback."""
    started = _start_without("click")

    assert (
        "holdfast: error: the command line needs the package click\n"
        "holdfast: hint: pip install 'holdfast[cli]'\n"
    ) == started.stderr
    assert 2 == started.returncode


def test_other_missing_module_is_not_hidden() -> None:
    """A module missing for any other reason is a bug, and shows as one."""
    started = _start_without("holdfast.cli.main")

    assert "ModuleNotFoundError" in started.stderr
    assert 1 == started.returncode


def test_module_runs_as_the_command() -> None:
    """`python -m holdfast` is the command line."""
    started = subprocess.run(
        [sys.executable, "-m", "holdfast", "--help"], check=False, capture_output=True, text=True
    )

    assert "Usage:" in started.stdout
    assert 0 == started.returncode
