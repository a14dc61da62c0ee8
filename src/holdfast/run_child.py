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
from holdfast.updated_policy import UpdatedPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pins.interfaces import PolicySource, ViolationSink
    from holdfast.pins.verdict import Violation

__all__ = ["CONFIRM", "STARTUP", "Order", "Updates", "begin_from_environment"]

STARTUP = str(Path(__file__).with_name("enforcement") / "startup")
CONFIRM = "HOLDFAST_RUN_CONFIRM"
_ORDER = "HOLDFAST_RUN"
_OBSERVES = "HOLDFAST_RUN_OBSERVES"  # read where Holdfast is not there
_CHECK_INTERVAL = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Updates:
    """Signed updates to follow.

    Attributes:
        url: The address of the repository.
        root: The file of its root metadata.
        seed: The file of the policy to begin with, if there is one.
    """

    url: str
    root: str
    seed: str | None

    def policy(self, *, background: bool = True) -> UpdatedPolicy:
        """Return the policy that follows them.

        Raises:
            HoldfastError: A file cannot be used, or there is no place for a cache.
        """
        return UpdatedPolicy(root=self.root, url=self.url, seed=self.seed, background=background)


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do. With neither a policy nor updates it observes and refuses nothing.

    Attributes:
        policy: The policy file to enforce.
        updates: The updates to follow instead.
        folder: Where to leave what was seen; None to leave nothing.
        settings: The file with local exceptions, if there is one.
    """

    policy: str | None
    folder: str | None
    settings: str | None = None
    updates: Updates | None = None

    @property
    def observes(self) -> bool:
        """Whether nothing is to be refused."""
        return self.policy is None and self.updates is None

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
            **({_OBSERVES: "1"} if self.observes else {}),
        }

    @classmethod
    def taken_from(cls, environment: Mapping[str, str]) -> Order:
        """Return the order that an environment holds.

        Raises:
            HoldfastError: It holds none.
        """
        try:
            fields = json.loads(environment[_ORDER])
            updates = fields["updates"]
            return cls(
                policy=fields["policy"],
                folder=fields["folder"],
                settings=fields["settings"],
                updates=None if updates is None else Updates(**updates),
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
    elif order.updates is not None:
        source, sink = order.updates.policy(), LogSink()
    settings = Settings() if order.settings is None else load_settings(Path(order.settings))
    seen = CoverageFolder(Path(order.folder)) if order.folder is not None else None
    begin(
        source,
        sink,
        exceptions=settings.exceptions,
        tally=seen.verdict if seen else None,
        on_stack=seen.stack if seen else None,
        observes=order.observes,
    )
    if seen is not None:
        watch_started_programs(STARTUP, seen.program)
    _confirm()


def _confirm() -> None:
    pipe, _, word = os.environ.pop(CONFIRM, "").partition(":")
    if pipe:
        os.write(int(pipe), word.encode())
        os.close(int(pipe))
