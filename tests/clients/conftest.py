"""Runs recipes in fresh interpreters against servers of their own, and collects the evidence."""

import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from holdfast.lab.server import LabServer
from holdfast.testing import PinnedServer
from tests.clients.libraries import PROCESS, Library
from tests.clients.recipes import Came, for_loopback, run_recipes

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., PinnedServer]]:
    """Return a function that starts a pinned server and its impostor, of one TLS version."""
    with ExitStack() as running:

        def start(serve: Callable[..., LabServer], version: str) -> PinnedServer:
            folder = tmp_path / version
            folder.mkdir()
            only = {"minimum_version": VERSIONS[version], "maximum_version": VERSIONS[version]}
            return running.enter_context(PinnedServer(folder, serve=partial(serve, **only)))

        yield start


@pytest.fixture
def prove(servers: Callable[..., PinnedServer]) -> Callable[..., dict[tuple[str, str], Came]]:
    """Return a function that runs a library's recipe and returns the evidence.

    Against the pinned server and its impostor, with TLS 1.2 and 1.3: what the recipe printed and
    how it failed, by itself; what arrived and with which version of TLS, by the server's log.
    """

    def prove(library: Library, python: str = sys.executable) -> dict[tuple[str, str], Came]:
        code = library.code()
        contacted, cases = {}, []
        for version in VERSIONS:
            server = servers(library.serve, version)
            for who, one in (("pinned", server), ("impostor", server.impostor)):
                contacted[who, version] = one
                folder = str(server.policy_path.parent)
                cases.append({"folder": folder, "code": for_loopback(code, "localhost", one.port)})
        # What is process-wide stays so until its process ends.
        runs = [[case] for case in cases] if library.route == PROCESS else [cases]
        came = [one for run in runs for one in run_recipes(run, python)]
        return {
            case: _evidence(library, server, told)
            for (case, server), told in zip(contacted.items(), came, strict=True)
        }

    return prove


def _evidence(library: Library, server: PinnedServer | LabServer, told: Came) -> Came:
    server.wait_for(closed=1)
    seen = server.wait_for(closed=len(server.connections))
    last = library.last_plain
    stray = [one.received_plain.rpartition(last)[2] if last else one.received_plain for one in seen]
    return {
        **told,
        "names": {one.server_name for one in seen} - {None},
        "versions": {one.version for one in seen if one.application_bytes},
        "in the clear": b"".join(stray),
    }
