from pathlib import Path

import pytest

from holdfast.enforcement.python_command import PythonCommand, python_command


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (["python"], []),
        (["python3.13t", "app.py", "-I"], []),
        (
            ["/usr/bin/python3", "-X", "dev", "-Wd", "-B", "app.py", "-E"],
            ["-X", "dev", "-Wd", "-B"],
        ),
        (["python", "-W", "-I", "app.py"], ["-W", "-I"]),
        (["python", "-Bm", "app", "-S"], ["-B"]),
        (["python", "-m", "app", "-S"], []),
        (["python", "-c", "pass", "-S"], []),
        (["python", "-", "-S"], []),
        (["python", "-O", "--", "-S"], ["-O"]),
        (
            ["python", "--check-hash-based-pycs", "never", "app.py"],
            ["--check-hash-based-pycs", "never"],
        ),
        (["pypy3", "-u", "app.py"], ["-u"]),
        (["python", "-W"], ["-W"]),
    ],
)
def test_options_end_where_the_program_begins(command: list[str], options: list[str]) -> None:
    """What stands behind the program is the program's, as Python itself reads it."""
    assert PythonCommand((command[0],), tuple(options)) == python_command(command)


@pytest.mark.parametrize(
    ("options", "ignoring"),
    [
        (["-I"], "-I"),
        (["-E"], "-E"),
        (["-BS"], "-S"),
        (["-s", "-P"], None),
        (["-WI", "-XE"], None),
        (["--help"], None),
        ([], None),
    ],
)
def test_options_that_ignore_the_environment(options: list[str], ignoring: str | None) -> None:
    """Three letters do, alone or among others; as part of a value they mean nothing."""
    assert ignoring == PythonCommand(("python",), tuple(options)).ignores_environment


@pytest.mark.parametrize(
    ("first_lines", "expected"),
    [
        ("#!/usr/bin/python3 -s", PythonCommand(("/usr/bin/python3",), ("-s",))),
        ("#!/usr/bin/env python3", PythonCommand(("python3",), ())),
        ("#!/usr/bin/env -S A=1 python3 -I", PythonCommand(("python3",), ("-I",))),
        (
            '#!/bin/sh\n\'\'\'exec\' "/a b/python" -E "$0" "$@"',
            PythonCommand(("/a b/python",), ("-E",)),
        ),
        ("#!/bin/sh\nexec python app.py", PythonCommand(("python",), ())),
        ("#!/bin/bash\n", None),
        ("#!\n", None),
        ("import sys", None),
        ("#!/bin/sh\n'unbalanced", None),
    ],
)
def test_scripts_name_their_python(
    tmp_path: Path, first_lines: str, expected: PythonCommand | None
) -> None:
    """In the first line, through `env`, or as installers write it when the path is long."""
    script = tmp_path / "tool"
    script.write_text(first_lines + "\n")
    script.chmod(0o755)

    assert expected == python_command([str(script), "-I"])
    assert expected == python_command(["tool", "-I"], path=str(tmp_path))


def test_what_is_no_python() -> None:
    """Nothing, a program that is not there, and one that is no script."""
    assert [None] * 3 == [python_command(words) for words in ([], ["nothing-there"], ["ls"])]
