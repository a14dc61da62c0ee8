"""The outside cases and judges: what other systems answer, as data and asked live."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from holdfast.lab.issuance import pem
from holdfast.lab.stage import Stage
from tests.conformance.pinned_client import (
    Answer,
    Decision,
    Hear,
    Judge,
    ask_asyncio,
    ask_blocking,
)
from tests.conformance.scenario import Scenario

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


@pytest.fixture(scope="session")
def stage() -> Stage:
    """Return the authorities and keys that all scenarios share."""
    return Stage.new()


@pytest.fixture
def hear(stage: Stage, tmp_path: Path) -> Hear:
    """Return a function that asks Holdfast, twice, and an outside judge about a scenario.

    It returns our answer and theirs, and fails where either is not what the server saw.
    """

    def hear(scenario: Scenario, judge: Judge) -> tuple[Answer, Answer]:
        anchors = tmp_path / "anchors.pem"
        anchors.write_text(pem(scenario.trusted(stage)), "ascii")
        host = scenario.host(stage)
        policy = scenario.pins.policy(stage, host)
        with scenario.server(stage) as server:
            ours = ask_blocking(policy, anchors, server, host)
            assert ours == asyncio.run(ask_asyncio(policy, anchors, server, host))
            theirs = judge(scenario, server, anchors)
            seen = server.wait_for(3)
        accepted = [answer.decision is Decision.ACCEPTED for answer in (ours, ours, theirs)]
        assert accepted == [connection.application_bytes > 0 for connection in seen]
        return ours, theirs

    return hear
