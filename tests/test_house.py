"""The rules of the whole repository that no linter knows."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import holdfast

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "holdfast"
MODULES = sorted(PACKAGE.rglob("*.py"))

LONGEST_MODULE = 500
LONGEST_PUBLIC_INIT = 60
MOST_PUBLIC_NAMES = 20
VAGUE_NAMES = {"base", "common", "core", "helpers", "manager", "misc", "utils"}

# Modules without a test file of their own, and the tests that run them instead.
TESTED_ELSEWHERE: dict[str, str] = dict.fromkeys(
    [
        "cli/coverage_report.py",
        "cli/draft_policy.py",
        "cli/program.py",
        "run_child.py",
        "enforcement/startup/sitecustomize.py",
    ],
    "cli/test_run.py",
) | {
    "formats/android_reading.py": "formats/test_android.py",
    "formats/android_writing.py": "formats/test_android.py",
    "formats/set_hosts.py": "formats/test_from_policy.py",
    "formats/set_pins.py": "formats/test_from_policy.py",
    "formats/set_translation.py": "formats/test_from_policy.py",
    "cli/updates/options.py": "cli/updates/test_group.py",
    "enforcement/clients/one_host.py": "enforcement/clients/test_curl.py",
}

# Folders whose modules are alike, so that the same tests go over all of them.
TESTED_ALIKE = {"lab/attacks"}

# Joined here, so that this file does not hold what it looks for.
MACHINE_TEXT = re.compile(
    "pypi" + r"\.org"
    "|files\\.python" + r"hosted\.org"
    "|--(?:extra-)?index" + "-url"
    "|--find" + "-links"
    r"|(?<![\w.])/(?:root|home/\w+|work)" + "/"
)


def _module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _tracked_files() -> list[Path]:
    """List what is committed, or would be."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def _has_logic(path: Path) -> bool:
    """Tell whether a module holds a function that does something (a protocol's does not)."""
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for function in functions
        for statement in function.body
    )


def _has_tests(path: Path) -> bool:
    name = "package" if path.stem == "__init__" else path.stem.strip("_")
    folder = ROOT / "tests" / path.parent.relative_to(PACKAGE)
    if path.parent.relative_to(PACKAGE).as_posix() in TESTED_ALIKE:
        return any(folder.glob("test_*.py"))
    return any(folder.glob(f"test_{name}.py")) or any(folder.glob(f"test_{name}_*.py"))


def test_each_module_can_be_read_in_one_sitting() -> None:
    """No module has more than 500 lines; one that grows past that is two modules."""
    lines = {_module_id(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}

    assert {} == {name: count for name, count in lines.items() if count > LONGEST_MODULE}


def test_each_name_says_what_is_in_the_module() -> None:
    """Neither a module nor a folder has a name that fits anything."""
    vague = {
        _module_id(path)
        for path in MODULES
        if VAGUE_NAMES & {*path.relative_to(PACKAGE).parent.parts, path.stem}
    }

    assert set() == vague


def test_tests_mirror_the_package() -> None:
    """Each module that does something has tests/<same folder>/test_<name>*.py, or is explained."""
    untested = {_module_id(path) for path in MODULES if _has_logic(path) and not _has_tests(path)}

    assert TESTED_ELSEWHERE.keys() == untested


def test_public_names_are_few_and_sorted() -> None:
    """What can be imported from `holdfast` fits on a screen, in alphabetical order."""
    names = list(holdfast.__all__)

    assert sorted(set(names)) == names
    assert len(names) <= MOST_PUBLIC_NAMES


def test_each_public_name_is_documented() -> None:
    """Each public name exists, and each class and function among them says what it is for."""
    values = {name: getattr(holdfast, name) for name in holdfast.__all__}
    documented = {
        name: value
        for name, value in values.items()
        if inspect.isroutine(value) or inspect.isclass(value)
    }

    assert [] == [name for name, value in documented.items() if not value.__doc__]


def test_public_init_is_short() -> None:
    """`holdfast/__init__.py` is a list of names, not a place for code."""
    lines = (PACKAGE / "__init__.py").read_text("utf-8").splitlines()

    assert len(lines) <= LONGEST_PUBLIC_INIT


def test_import_loads_nothing_third_party() -> None:
    """A fresh interpreter with every public name loads the standard library and Holdfast only."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "from holdfast import *\n"
        "print(*{name.partition('.')[0] for name in sys.modules.keys() - before})"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout

    assert {"holdfast"} == set(output.split()) - sys.stdlib_module_names


def test_types_are_published() -> None:
    """The marker that tells type checkers to use our annotations is in the package."""
    assert (PACKAGE / "py.typed").is_file()


def test_no_trace_of_a_machine() -> None:
    """No committed file names a package registry or a path of the machine it was written on."""
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in _tracked_files()
        for match in MACHINE_TEXT.finditer(path.read_text("utf-8", errors="replace"))
    }

    assert set() == found
