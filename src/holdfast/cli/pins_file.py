"""Adding pin sets to `pins.toml`: comments stay, and either the whole change is made or nothing.

The new text is written beside the file, loaded as a client would load it, and only then put in its
place. What another process has put there since the file was read is not lost: then nothing is
changed.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.project_file import give_permissions
from holdfast.errors import HoldfastError, PolicyError
from holdfast.findings.escape import escaped
from holdfast.pins.host_pattern import HostPattern, Reach
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode
from holdfast.pins.policy import FORMAT, Policy, Unlisted

if TYPE_CHECKING:
    from tomlkit.items import Array

_COMMENT_LIMIT = 100  # characters
_BARE_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSet:
    """A pin set to add. Each pin comes with the comment that says where it was seen."""

    name: str
    hosts: tuple[str, ...]
    leaf: tuple[tuple[Pin, str], ...] = ()
    backup: tuple[tuple[Pin, str], ...] = ()
    ca: tuple[tuple[Pin, str], ...] = ()
    endpoints: tuple[str, ...] = ()
    owner: str | None = None
    accept_lock_out: bool = False

    @property
    def mode(self) -> Mode:
        """Enforced as soon as one key may be lost: with a backup, two CAs, or lock-out accepted."""
        has_way_out = bool(self.leaf and self.backup) or len(self.ca) > 1
        return Mode.ENFORCE if has_way_out or self.accept_lock_out else Mode.REPORT_ONLY


class PinsFile:
    """A policy file to which pin sets are added."""

    def __init__(self, path: Path) -> None:
        """Read the file, or begin a new one.

        Raises:
            PolicyError: The file exists and cannot be used.
            HoldfastError: It is not one to add to, or there is no folder for it.
        """
        self.path = path
        self.is_new = not path.exists()
        if path.suffix.lower() == ".json":
            raise HoldfastError(
                f"{path}: pins are added to TOML files only", hint="give a file that ends in .toml"
            )
        if not self._target.parent.is_dir():
            raise HoldfastError(f"{path}: its folder does not exist", hint="make the folder first")
        self._policy = Policy(unlisted=Unlisted.ALLOW) if self.is_new else load_policy(path)
        self._names = {pin_set.name for pin_set in self._policy.pin_sets}
        self._text = self._present_text()

    @property
    def _target(self) -> Path:
        """Where the file is: a link to the policy stays one."""
        return Path(os.path.realpath(self.path))

    def _present_text(self) -> str:
        """Return what the file holds now; nothing for one that is still to be made."""
        return self.path.read_bytes().decode() if self.path.exists() else ""

    def set_name_for(self, host: str) -> str:
        """Return a name for a host's set that is not taken, and take it."""
        plain = host.lower().replace(".", "-").replace(":", "-")
        plain = "".join(character for character in plain if character in _BARE_NAME) or "host"
        names = (plain, *(f"{plain}-{number}" for number in range(2, len(self._names) + 3)))
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return name

    def check(self, name: str | None, hosts: Sequence[str]) -> None:
        """Refuse hosts that have a pattern of their own already, and a name that is taken.

        Raises:
            HoldfastError: One of them does; the hint says what to do instead.
        """
        for pin_set in self._policy.pin_sets:
            if pin_set.name == name:
                raise HoldfastError(
                    f"{self.path} has a pin set {name} already", hint="choose another --name"
                )
            for host in hosts:
                if HostPattern(host, Reach.EXACT) in pin_set.hosts:
                    raise HoldfastError(
                        f"{host} is pinned already, by pin_set.{pin_set.name} of {self.path}",
                        hint=f"holdfast check {host} shows whether its pins still match; "
                        "to change them, ask the owner and edit the set",
                    )

    def write(
        self, sets: Sequence[NewSet], also: AbstractContextManager[None] | None = None
    ) -> None:
        """Add the sets and put the file in place.

        Args:
            sets: What to add.
            also: Entered when the new text is known to be good, and before the file changes; left
                when it has changed, or with the error when it has not.

        Raises:
            HoldfastError: A new set would weaken an enforced one, the file was changed by someone
                else, or it cannot be replaced. Nothing was changed.
            PolicyError: A client would not load the result. Nothing was changed.
            OSError: Nothing can be written beside the file. It was not changed.
        """
        self._refuse_weakening(sets)
        data = _utf8(self._with(sets))
        with _locked(self._target.parent) as folder:
            if self._present_text() != self._text:
                raise HoldfastError(
                    f"{self.path} was changed by someone else meanwhile", hint="try again"
                )
            descriptor, name = tempfile.mkstemp(prefix=".holdfast-", suffix=".toml", dir=folder)
            draft = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    give_permissions(descriptor, self._target)
                    file.write(data)
                    file.flush()
                    os.fsync(descriptor)
                try:
                    load_policy(draft)
                except PolicyError as error:
                    source = f"{self.path} with the new set"
                    raise PolicyError(error.problems, source=source) from None
                with also or nullcontext():
                    self._replace_by(draft)
            finally:
                with suppress(FileNotFoundError):
                    draft.unlink()

    def _replace_by(self, draft: Path) -> None:
        try:
            draft.replace(self._target)
        except OSError as error:
            raise HoldfastError(
                f"{self.path} cannot be replaced: {error.strerror}",
                hint="it may be protected, or mounted by itself: mount its folder instead",
            ) from error

    def _refuse_weakening(self, sets: Sequence[NewSet]) -> None:
        """Refuse a report-only set for a host that a wildcard enforces: it would win."""
        for new in sets:
            for host in new.hosts:
                covering = self._policy.pin_set_for(host)
                if (
                    new.mode is Mode.REPORT_ONLY
                    and covering is not None
                    and covering.mode is Mode.ENFORCE
                ):
                    raise HoldfastError(
                        f"{host} is enforced by pin_set.{covering.name} of {self.path}: "
                        "a report-only set of its own would switch that off",
                        hint="give a backup (--backup or --new-backup), so that it is enforced too",
                    )

    def _with(self, sets: Sequence[NewSet]) -> str:
        """Return the text with the sets at its end; not a byte before it changes."""
        text = self._text
        if self.is_new:
            text = (
                f"[holdfast]\nformat = {FORMAT}\n"
                f'unlisted = "{self._policy.unlisted.value}"'
                "  # hosts that no set covers: refuse, report-only or allow\n"
            )
        line_end = "\r\n" if "\r\n" in text else "\n"
        added = "\n" + "\n".join(map(_as_toml, sets))
        gap = "" if not text or text.endswith("\n") else line_end
        return text + gap + added.replace("\n", line_end)


def _as_toml(new: NewSet) -> str:
    """Return the set as a table of its own, which may stand anywhere in a TOML document."""
    import tomlkit

    table = tomlkit.table()
    table.add("hosts", list(new.hosts))
    table.add("mode", new.mode.value)
    if new.mode is Mode.REPORT_ONLY:
        table["mode"].comment("NOT ENFORCED: add a backup, then write enforce")
    for key, pins in (("leaf", new.leaf), ("backup", new.backup), ("ca", new.ca)):
        if pins:
            table.add(key, _pin_array(pins))
    if new.mode is Mode.ENFORCE and new.accept_lock_out:
        table.add("single_pin", ACCEPT_LOCK_OUT)
    if new.endpoints:
        table.add("endpoints", list(new.endpoints))
    if new.owner is not None:
        table.add("owner", new.owner)
    sets = tomlkit.table(is_super_table=True)
    sets.add(new.name, table)
    document = tomlkit.document()
    document.add("pin_set", sets)
    return document.as_string()


def _pin_array(pins: Sequence[tuple[Pin, str]]) -> Array:
    import tomlkit

    array = tomlkit.array()
    for pin, comment in pins:
        array.add_line(str(pin), comment=escaped(comment, _COMMENT_LIMIT))
    array.add_line(indent="")
    return array


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise HoldfastError(
            "the new set has text that is not UTF-8", hint="write --name and --owner in UTF-8"
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Keep others who add to a file of the folder waiting; in the end its new name is durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # network file systems do not lock folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
