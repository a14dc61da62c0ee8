"""Process-wide enforcement as `holdfast run` orders it, through the environment.

HOLDFAST_RUN holds the order, for the program and all Pythons that it starts. HOLDFAST_RUN_CONFIRM
is for the first one only: a pipe on which it says that enforcement is on.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.certificates.load_settings import load_settings
from holdfast.enforcement.coverage_folder import CoverageFolder
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.policy_file import PolicyFile
from holdfast.enforcement.process_wide import begin
from holdfast.enforcement.started_programs import watch_started_programs
from holdfast.errors import HoldfastError
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.settings_document import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pins.interfaces import PolicySource, ViolationSink
    from holdfast.pins.verdict import Violation

__all__ = ["CONFIRM", "STARTUP", "Order", "begin_from_environment"]

STARTUP = str(Path(__file__).with_name("startup"))
CONFIRM = "HOLDFAST_RUN_CONFIRM"
_ORDER = "HOLDFAST_RUN"
_OBSERVES = "HOLDFAST_RUN_OBSERVES"  # read where Holdfast is not there
_CHECK_INTERVAL = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do.

    Attributes:
        policy: The policy file to enforce; None to observe and refuse nothing.
        folder: Where to leave what was seen; None to leave nothing.
        settings: The file with local exceptions, if there is one.
    """

    policy: str | None
    folder: str | None
    settings: str | None = None

    def put_into(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with which a Python enforces the policy from its start."""
        inherited = environment.get("PYTHONPATH")
        folders = inherited.split(os.pathsep) if inherited else []
        others = [folder for folder in folders if folder != STARTUP]  # "" is the current folder
        kept = {name: value for name, value in environment.items() if name != _OBSERVES}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join([STARTUP, *others]),
            _ORDER: json.dumps(asdict(self)),
            **({_OBSERVES: "1"} if self.policy is None else {}),
        }

    @classmethod
    def taken_from(cls, environment: Mapping[str, str]) -> Order:
        """Return the order that an environment holds.

        Raises:
            HoldfastError: It holds none.
        """
        try:
            fields = json.loads(environment[_ORDER])
            return cls(
                policy=fields["policy"], folder=fields["folder"], settings=fields["settings"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise HoldfastError(
                f"{_ORDER} is missing from the environment, or damaged",
                hint="leave it to the processes that the program starts, as PYTHONPATH",
            ) from error


class _Silent:
    """Takes violations where none is one: while nothing is refused."""

    def report(self, violation: Violation) -> None:
        """Take no note."""


def begin_from_environment() -> None:
    """Enforce what the environment orders, then say so to who waits for it.

    Raises:
        HoldfastError: There is no order, or its policy or settings cannot be used.
        OSError: Nobody waits at the pipe.
    """
    order = Order.taken_from(os.environ)
    source: PolicySource = Policy(unlisted=Unlisted.REPORT_ONLY)
    sink: ViolationSink = _Silent()
    if order.policy is not None:
        source, sink = PolicyFile(order.policy, check_interval=_CHECK_INTERVAL), LogSink()
    settings = Settings() if order.settings is None else load_settings(Path(order.settings))
    seen = CoverageFolder(Path(order.folder)) if order.folder is not None else None
    begin(
        source,
        sink,
        exceptions=settings.exceptions,
        tally=seen.verdict if seen else None,
        on_stack=seen.stack if seen else None,
        observes=order.policy is None,
    )
    if seen is not None:
        watch_started_programs(STARTUP, seen.program)
    _confirm()


def _confirm() -> None:
    pipe, _, word = os.environ.pop(CONFIRM, "").partition(":")
    if pipe:
        os.write(int(pipe), word.encode())
        os.close(int(pipe))
