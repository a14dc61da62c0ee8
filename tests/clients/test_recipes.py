"""Each library by its recipe, as the documentation shows it."""

from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.clients.evidence import evidence_of, expected_of
from tests.clients.libraries import LIBRARIES, Library


@pytest.mark.timeout(60)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_library_talks_to_the_pinned_server_alone(library: Library, tmp_path: Path) -> None:
    """It talks to the pinned server; an impostor with a trusted certificate gets no byte."""
    if library.package and not list(distributions(name=library.package)):
        pytest.skip(f"{library.package} is not installed")

    assert expected_of(library) == evidence_of(library, tmp_path)
