"""The same recipes with the oldest versions that the table names, installed apart."""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

import holdfast
from tests.clients.evidence import Cases, evidence_of, expected_of
from tests.clients.libraries import LIBRARIES

ROOT = Path(__file__).parents[2]
OLDEST = {one.package: one.oldest for one in LIBRARIES if one.package}
# What the recipes need beside the libraries.
BESIDE = ["h2", "protobuf"]


def _extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    return {**extras, "": project["dependencies"]}


def test_each_library_has_an_oldest_version() -> None:
    """The table says from when on a library is tested."""
    assert [] == [package for package, oldest in OLDEST.items() if not oldest]


def test_extras_begin_with_the_oldest_version() -> None:
    """What an extra lets in is tested from its floor on."""
    floors = {
        requirement.partition(">=")[0].partition("[")[0]: requirement.partition(">=")[2]
        for extra, requirements in _extras().items()
        for requirement in requirements
        if extra in OLDEST
    }

    assert floors == {package: OLDEST[package] for package in floors}
    assert {"requests", "redis", "botocore"} <= floors.keys()


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the oldest versions are those for Python 3.11"
)
def test_the_oldest_versions_are_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They talk to the pinned server, and an impostor gets no byte of theirs."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = str(home / ("Scripts" if os.name == "nt" else "bin") / "python")
    wanted = [f"{package}=={oldest}" for package, oldest in OLDEST.items()]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--prefer-binary", *wanted, *BESIDE, *_extras()[""]],
        capture_output=True,
        text=True,
        check=False,
    )
    if "(from versions: none)" in installed.stderr:
        pytest.skip(f"no package index: {installed.stderr.splitlines()[-1]}")
    assert 0 == installed.returncode, installed.stderr
    monkeypatch.setenv("PYTHONPATH", str(Path(holdfast.__file__).parents[1]))

    wrong: dict[str, Cases] = {}
    for library in LIBRARIES:
        if library.package:
            came = evidence_of(library, tmp_path / library.name.replace("/", " "), python)
            wrong |= {} if expected_of(library) == came else {library.name: came}

    assert {} == wrong
