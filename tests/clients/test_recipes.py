"""Each library by its recipe, as the documentation shows it."""

from collections.abc import Callable
from importlib.metadata import distributions
from typing import Any

import pytest

from tests.clients.libraries import LIBRARIES, Library

REFUSAL = "refused: localhost private-anchor"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_library_talks_to_the_pinned_server_alone(
    library: Library, prove: Callable[[Library], dict[tuple[str, str], Any]]
) -> None:
    """It talks to the pinned server; an impostor with a trusted certificate gets no byte."""
    if library.package and not list(distributions(name=library.package)):
        pytest.skip(f"{library.package} is not installed")
    expected = {}
    for version in ("TLSv1.2", "TLSv1.3"):
        sound = {"failure": None, "names": {"localhost"}, "in the clear": b""}
        expected["pinned", version] = {**sound, "printed": library.answer, "versions": {version}}
        expected["impostor", version] = {**sound, "printed": REFUSAL, "versions": set()}

    assert expected == prove(library)
