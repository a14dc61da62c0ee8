"""What comes of a library's recipe, by itself and by the logs of the servers that it talked to."""

import ssl
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer
from tests.clients.libraries import PROCESS, Library
from tests.clients.recipes import Came, for_loopback, run_recipes

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_REFUSAL = "refused: localhost private-anchor"

Cases = dict[tuple[str, str], Came]


def expected_of(library: Library) -> Cases:
    """Return what must come of it: an impostor with a trusted certificate gets no byte."""
    expected = {}
    for version in VERSIONS:
        sound = {"failure": None, "names": {"localhost"}, "in the clear": b""}
        expected["pinned", version] = {**sound, "printed": library.answer, "versions": {version}}
        expected["impostor", version] = {**sound, "printed": _REFUSAL, "versions": set()}
    return expected


def evidence_of(library: Library, folder: Path, python: str = sys.executable) -> Cases:
    """Run the recipe against the pinned server and its impostor, with TLS 1.2 and 1.3.

    Args:
        library: The library.
        folder: An empty one, for the policies and anchors.
        python: The interpreter that has the library.

    Returns:
        What the recipe printed and how it failed; by the server's log the names that were asked
        for, the TLS versions in which something arrived, and what came in the clear where it had
        been agreed to go over to TLS.
    """
    code = library.code()
    contacted: dict[tuple[str, str], PinnedServer | LabServer] = {}
    cases = []
    with ExitStack() as running:
        for version, number in VERSIONS.items():
            files = folder / version
            files.mkdir(parents=True)
            serve = partial(library.serve, minimum_version=number, maximum_version=number)
            server = running.enter_context(PinnedServer(files, serve=serve))
            for who, one in (("pinned", server), ("impostor", server.impostor)):
                contacted[who, version] = one
                code_here = for_loopback(code, "localhost", one.port)
                cases.append({"folder": str(files), "code": code_here})
        # What is process-wide stays so until its process ends.
        runs = [[case] for case in cases] if library.route == PROCESS else [cases]
        came = [one for run in runs for one in run_recipes(run, python)]
        return {
            case: {**told, **_seen_by(server, library.last_plain)}
            for (case, server), told in zip(contacted.items(), came, strict=True)
        }


def _seen_by(server: PinnedServer | LabServer, last_plain: bytes) -> Came:
    server.wait_for(closed=1)
    seen = server.wait_for(closed=len(server.connections))
    plain = [one.received_plain for one in seen]
    return {
        "names": {one.server_name for one in seen} - {None},
        "versions": {one.version for one in seen if one.application_bytes},
        "in the clear": b"".join(
            text.rpartition(last_plain)[2] if last_plain else text for text in plain
        ),
    }
