"""The outside cases: what other systems answer, as data that is not part of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).parents[3] / "shared" / "conformance"


@pytest.fixture(scope="session")
def conformance_folder() -> Path:
    """Return the folder of the cases: $HOLDFAST_CONFORMANCE, else shared/ beside the checkout."""
    folder = Path(os.environ.get("HOLDFAST_CONFORMANCE", _BESIDE))
    if not (folder / "cases.json").is_file():
        pytest.skip("no outside cases here: set HOLDFAST_CONFORMANCE to the folder with cases.json")
    return folder


@pytest.fixture(scope="session")
def conformance_cases(conformance_folder: Path) -> list[dict[str, Any]]:
    """Return every case: its source, name, kind, input and what that system answers."""
    cases: list[dict[str, Any]] = json.loads((conformance_folder / "cases.json").read_text("utf-8"))
    return cases
