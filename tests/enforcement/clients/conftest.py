"""Runs the recipes of `docs/clients`, as they stand there, each in a fresh interpreter."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomlkit

import holdfast
from holdfast.certificates.pem import certificate_text
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy
from holdfast.pins.policy_writer import policy_to_document
from holdfast.testing import PinnedServer
from tests.clients.recipes import code_of, for_loopback

_CHANGES_CLIENTS = re.compile("proxy|^SSL|CA_BUNDLE", re.IGNORECASE)
_ANSWER = "hello from the lab"
_REFUSAL = "refused: localhost private-anchor"


@dataclass(frozen=True)
class Evidence:
    """What came of a recipe: by its own output, and by the log of the server that it talked to."""

    printed: str
    explained: bool  # on standard error, where `holdfast.violations` ends up
    connections: int
    data_arrived: bool


@dataclass(frozen=True)
class Case:
    """Who answers to a recipe, under which policy, and what must come of it."""

    expected: Evidence
    mode: Mode = Mode.ENFORCE
    host: str = "localhost"
    is_impostor: bool = True


CASES = {
    "pinned": Case(Evidence(_ANSWER, False, 1, True), is_impostor=False),
    "impostor": Case(Evidence(_REFUSAL, True, 1, False)),
    "unlisted": Case(Evidence(_ANSWER, False, 1, True), host="127.0.0.1"),
    "report-only": Case(Evidence(_ANSWER, True, 1, True), mode=Mode.REPORT_ONLY),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each case in turn."""
    return CASES[request.param]


@pytest.fixture
def expected(case: Case) -> Evidence:
    """What must come of a recipe in this case."""
    return case.expected


@pytest.fixture(scope="session")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a throw-away environment with some packages: its Python.

    For packages whose being there changes what others do.
    """

    def make(*requirements: str) -> Path:
        environment = tmp_path_factory.mktemp("environment")
        python = environment / "bin" / "python"
        base = ["cryptography>=49", "idna", "certifi", *requirements]
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *base]
        installed = subprocess.run(pip, check=False, capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"nothing can be installed here: {installed.stderr[-300:]}")
        return python

    return make


@pytest.fixture
def interpreter() -> Path:
    """The Python that recipes run in; a test module may bring another."""
    return Path(sys.executable)


@pytest.fixture
def run_script(
    tmp_path: Path, interpreter: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python code in a fresh interpreter, next to a `pins.toml`."""

    def run(code: str, server: PinnedServer, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "recipe.py"
        script.write_text(code, "utf-8")
        environment = {
            name: value for name, value in os.environ.items() if not _CHANGES_CLIENTS.search(name)
        }
        if interpreter != Path(sys.executable):
            environment["PYTHONPATH"] = str(Path(holdfast.__file__).parents[1])
        return subprocess.run(
            [interpreter, "-W", "error", script, *arguments],
            cwd=server.policy_path.parent,
            env={**environment, "SSL_CERT_FILE": str(server.anchors_path)},
            capture_output=True,
            check=False,
            text=True,
            timeout=15,
        )

    return run


@pytest.fixture
def run_recipe(
    case: Case,
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Evidence]:
    """Return a function that runs a recipe in this case and collects the evidence."""

    def run(
        page: str,
        recipe: str,
        *,
        serve: Callable[[Identity], LabServer] = LabServer,
        answer: str = _ANSWER,
        change: Callable[[str], str] = str,
    ) -> Evidence:
        directory = tmp_path_factory.mktemp("server")
        with PinnedServer(directory, mode=case.mode, serve=serve) as server:
            contacted = server.impostor if case.is_impostor else server
            code = change(for_loopback(code_of(page, recipe), case.host, contacted.port))
            ended = run_script(code, server)
            assert 0 == ended.returncode, ended.stderr
            connections = contacted.wait_for(closed=1)
        # Nothing may follow in the clear where TLS was agreed on.
        assert b"" == connections[0].received_plain.rpartition(b"STARTTLS\r\n")[2]
        pins = [str(pin) for pin in server.policy.pin_sets[0].pins]
        assert all(pin in ended.stderr for pin in pins) or "" == ended.stderr
        printed = ended.stdout.strip()
        return Evidence(
            printed=_ANSWER if printed == answer else printed,
            explained=bool(ended.stderr),
            connections=len(connections),
            data_arrived=any(connection.application_bytes for connection in connections),
        )

    return run


@pytest.fixture
def run_page(tmp_path: Path, anchors: Path) -> Callable[..., str]:
    """Return a function that runs a recipe of a stack that decides by itself: what it printed.

    It runs next to a `pins.toml` and a `pinned.pem`, and trusts both CAs.
    """

    def run(
        page: str,
        recipe: str,
        policy: Policy,
        port: int,
        *,
        pinned: str = "",
        change: Callable[[str], str] = str,
    ) -> str:
        document = policy_to_document(policy, write_anchor=certificate_text)
        (tmp_path / "pins.toml").write_text(tomlkit.dumps(document), "utf-8")
        (tmp_path / "pinned.pem").write_text(pinned, "ascii")
        environment = {
            name: value for name, value in os.environ.items() if not _CHANGES_CLIENTS.search(name)
        }
        code = code_of(page, recipe).replace('"api.example.com"', '"localhost"')
        code = change(for_loopback(code.replace(".com:443", ".com"), "localhost", port))
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            env={**environment, "SSL_CERT_FILE": str(anchors), "CURL_CA_BUNDLE": str(anchors)},
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
        )
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout.strip()

    return run


@pytest.fixture
def recipe_code() -> Callable[[str, str], str]:
    """Return a function that takes the code of a recipe from its page."""
    return code_of
