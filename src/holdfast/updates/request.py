"""A request: what is to be published, on its way between the people who sign it. Pure.

    {"format": 1,
     "roots":  [...],                       the root metadata so far, the oldest first
     "before": {"targets": {...}, ...},     what the request builds on, as it is served
     "after":  {"pins": {...}, ...},        what is to be served, with the signatures so far
     "files":  {"SHA-256": "base64"}}       the files that both list

1. It is read as an attacker's: whoever carries it may have changed anything. What counts is what
   verifies against a root that is known, and what is to be signed is told from its content alone.
2. It says nothing of snapshot and timestamp: they are signed when it is published, and may go on
   meanwhile.
3. It lists only files that this Holdfast can explain, and holds each that is new.
4. Each role is delegated, and each key that may sign is there: else clients would be locked out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from holdfast.errors import PolicyError, Problem
from holdfast.pins.field_readers import Reader, table_at, unknown_keys, wrong_type
from holdfast.pins.pin import quoted
from holdfast.updates.document import BREAK_GLASS_TARGET, DENY_TARGET, PINS_TARGET, POLICY_TARGET
from holdfast.updates.document_text import decoded, encoded, read_fields, refusal
from holdfast.updates.roles import DELEGATED

__all__ = [
    "MAX_REQUEST_BYTES",
    "MAX_ROOTS",
    "Request",
    "request_from_bytes",
    "request_to_bytes",
]

MAX_REQUEST_BYTES = 256 * 1024 * 1024  # two bundles of 64 MiB in base64
MAX_ROOTS = 1024  # as clients follow
SIGNED_ROLES = ("root", "targets", *DELEGATED)
_FILE_OF = {
    "targets": POLICY_TARGET,
    "pins": PINS_TARGET,
    "emergency": DENY_TARGET,
    "breakglass": BREAK_GLASS_TARGET,
}
_AGAIN = "stage it again with `holdfast updates stage`"
_CHANGED = "somebody changed it on the way: ask who staged it, and stage it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be published.

    Attributes:
        roots: The root metadata so far, the oldest first; none for a new repository.
        before: The metadata that is to be replaced, and those of targets, by role.
        after: The metadata that are to be served, by role. Signatures are added to them.
        files: The files that they list, by their SHA-256.

    Raises:
        PolicyError: The parts do not fit each other.
    """

    roots: tuple[Metadata[Root], ...]
    before: Mapping[str, Metadata[Any]]
    after: Mapping[str, Metadata[Any]]
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        """Check that each version follows the one before, and that each new file is here."""
        problems = [*_role_problems(self), *_version_problems(self)]
        if not problems:
            problems = list(_file_problems(self))
        if problems:
            raise refusal(problems, "request")

    @property
    def root_before(self) -> Root | None:
        """The root metadata that it builds on; None for a new repository."""
        return self.roots[-1].signed if self.roots else None

    def content(self, metadata: Metadata[Any] | None, path: str) -> bytes | None:
        """Return a file as some metadata list it; None where they do not, or it is not here."""
        target = None if metadata is None else metadata.signed.targets.get(path)
        return None if target is None else self.files.get(target.hashes.get("sha256", ""))


def request_from_bytes(data: bytes, *, source: str) -> Request:
    """Read a request.

    Args:
        data: The file.
        source: Its name, for errors.

    Raises:
        UnknownFormatError: It is in a format of a newer Holdfast.
        PolicyError: It is too large, or has a mistake; every mistake is in its problems.
    """
    document = decoded(data, MAX_REQUEST_BYTES, source)
    problems: list[Problem] = []
    readers: dict[str, Reader[Any]] = {
        "roots": _roots,
        "before": _metadata,
        "after": _metadata,
        "files": _files,
    }
    fields = read_fields(document, readers, problems)
    if problems:
        raise refusal(problems, source)
    try:
        return Request(**{key: fields[key] for key in readers})
    except PolicyError as error:
        raise PolicyError(error.problems, source=source) from None


def request_to_bytes(request: Request) -> bytes:
    """Write a request.

    Raises:
        PolicyError: It would be too large.
    """
    document = {
        "roots": [root.to_dict() for root in request.roots],
        "before": {role: metadata.to_dict() for role, metadata in request.before.items()},
        "after": {role: metadata.to_dict() for role, metadata in request.after.items()},
        "files": {
            digest: base64.b64encode(content).decode() for digest, content in request.files.items()
        },
    }
    return encoded(document, MAX_REQUEST_BYTES, "request")


def _role_problems(request: Request) -> Iterator[Problem]:
    is_new = not request.roots
    wanted = set() if is_new else {"targets", *request.after} - {"root"}
    if request.before.keys() != wanted:
        yield Problem("before", f"it takes {', '.join(sorted(wanted)) or 'nothing'}", _AGAIN)
    if is_new and request.after.keys() != set(SIGNED_ROLES):
        yield Problem("after", f"a new repository takes {', '.join(SIGNED_ROLES)}", _AGAIN)
    if not request.after:
        yield Problem("after", "it is empty", _AGAIN)
    for place, tables in (("before", request.before), ("after", request.after)):
        for role, metadata in tables.items():
            if not isinstance(metadata.signed, Root if role == "root" else Targets):
                yield Problem(f"{place}.{role}", f"it is {metadata.signed.type}", _AGAIN)
            else:
                yield from _delegation_problems(f"{place}.{role}", role, metadata.signed)
    for role in DELEGATED.keys() & request.after.keys():
        states = (request.before.get(role), request.after[role])
        former, new = (getattr(one and one.signed, "delegations", None) for one in states)
        if former != new:  # only `pins` has any, for hosts; no request changes those
            yield Problem(f"after.{role}", "it lets others sign than before", "sign nothing")


def _delegation_problems(place: str, role: str, signed: Root | Targets) -> Iterator[Problem]:
    """Find keys that are not there, and roles that nobody could sign."""
    if isinstance(signed, Root):
        roles, keys = dict(signed.roles), signed.keys
    elif role == "targets":
        delegations = signed.delegations
        roles = {} if delegations is None else dict(delegations.roles or {})
        keys = {} if delegations is None else delegations.keys
        if lacking := DELEGATED.keys() - roles.keys():
            yield Problem(place, f"it does not delegate to {', '.join(sorted(lacking))}", _AGAIN)
    else:
        return
    for name, one in roles.items():
        if set(one.keyids) - keys.keys():
            yield Problem(f"{place}.{quoted(name)}", "it has a key that is not there", _AGAIN)


def _version_problems(request: Request) -> Iterator[Problem]:
    versions = [root.signed.version for root in request.roots]
    if versions != list(range(versions[0], versions[0] + len(versions)) if versions else ()):
        yield Problem("roots", "their versions do not follow each other", _AGAIN)
    for role, metadata in request.after.items():
        former = request.before.get(role)
        if role == "root":
            former = request.roots[-1] if request.roots else None
        wanted = 1 if former is None else former.signed.version + 1
        if metadata.signed.version != wanted:
            words = f"version {metadata.signed.version} does not follow what is there"
            yield Problem(f"after.{role}", words, f"{wanted} does: {_AGAIN}")


def _file_problems(request: Request) -> Iterator[Problem]:
    listed: set[str] = set()
    for metadata in request.before.values():
        listed |= {one.hashes.get("sha256", "") for one in metadata.signed.targets.values()}
    for role, metadata in request.after.items():
        if role == "root":
            continue
        former = request.before[role].signed.targets if role in request.before else {}
        for path, target in metadata.signed.targets.items():
            listed.add(target.hashes.get("sha256", ""))
            if former.get(path) == target:
                continue
            place = f"after.{role}.{quoted(path)}"
            if path != _FILE_OF[role]:
                yield Problem(place, "this Holdfast knows no such file", "sign nothing")
            elif not all(_fits(one, request.files) for one in (target, former.get(path)) if one):
                # Without what was there before, a change could be told as something new.
                yield Problem(place, "the file is not here as it is listed", _CHANGED)
    for digest in request.files.keys() - listed:
        yield Problem(f"files.{digest}", "nothing lists it", _AGAIN)


def _fits(target: TargetFile, files: Mapping[str, bytes]) -> bool:
    content = files.get(target.hashes.get("sha256", ""))
    return (
        content is not None and target.hashes.keys() == {"sha256"} and len(content) == target.length
    )


def _roots(value: object, place: str, problems: list[Problem]) -> tuple[Metadata[Root], ...] | None:
    if not isinstance(value, list):
        problems.append(wrong_type(value, place, "a list", _AGAIN))
        return None
    if len(value) > MAX_ROOTS:
        words = f"it has {len(value)} entries, more than {MAX_ROOTS}"
        problems.append(Problem(place, words, "clients do not follow so many either"))
        return None
    roots = [_one(entry, f"{place}[{index}]", problems) for index, entry in enumerate(value)]
    if not all(root is not None and isinstance(root.signed, Root) for root in roots):
        problems.append(Problem(place, "not all of it is root metadata", _AGAIN))
        return None
    return tuple(root for root in roots if root is not None)


def _metadata(
    value: object, place: str, problems: list[Problem]
) -> dict[str, Metadata[Any]] | None:
    table = table_at(value, place, problems)
    if table is None:
        return None
    unknown_keys(table, SIGNED_ROLES, place, problems)
    read = {
        role: _one(table[role], f"{place}.{role}", problems)
        for role in SIGNED_ROLES
        if role in table
    }
    return {role: metadata for role, metadata in read.items() if metadata is not None}


def _one(value: object, place: str, problems: list[Problem]) -> Metadata[Any] | None:
    table = table_at(value, place, problems)
    if table is None:
        return None
    try:
        metadata: Metadata[Any] = Metadata.from_dict(dict(table))
        metadata.signed_bytes  # noqa: B018  what has no canonical text cannot be signed
    except Exception as error:  # noqa: BLE001  whatever damaged metadata make python-tuf raise
        problems.append(Problem(place, f"this is no metadata: {error}", _AGAIN))
        return None
    return metadata


def _files(value: object, place: str, problems: list[Problem]) -> dict[str, bytes] | None:
    table = table_at(value, place, problems)
    if table is None:
        return None
    files: dict[str, bytes] = {}
    for digest, text in table.items():
        where = f"{place}.{digest if digest.isalnum() else quoted(digest)}"
        if not isinstance(text, str):
            problems.append(wrong_type(text, where, "text", _AGAIN))
            continue
        try:
            files[digest] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            problems.append(Problem(where, "this is no base64", _AGAIN))
            continue
        if hashlib.sha256(files[digest]).hexdigest() != digest:
            problems.append(Problem(where, "the file has another SHA-256", _CHANGED))
    return files
