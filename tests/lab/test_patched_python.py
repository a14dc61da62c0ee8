import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.lab.patched_python import patched_python, was_patched


@pytest.mark.parametrize(
    ("statement", "printed", "effect"),
    [("import sys; sys.patched = True", "True", True), ("import no_such_module", "False", False)],
)
def test_each_python_runs_it(tmp_path: Path, statement: str, printed: str, effect: bool) -> None:
    """It runs before the program, and leaves a mark; where something is missing it does neither."""
    environment = os.environ | patched_python(tmp_path, statement)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(hasattr(sys, 'patched'))"],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert printed == done.stdout.strip()
    assert effect == was_patched(tmp_path)


def test_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders that were on the path stay behind."""
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert {"PYTHONPATH": f"{tmp_path}{os.pathsep}elsewhere"} == patched_python(tmp_path, "pass")

    monkeypatch.delenv("PYTHONPATH")
    assert {"PYTHONPATH": str(tmp_path)} == patched_python(tmp_path, "pass")
