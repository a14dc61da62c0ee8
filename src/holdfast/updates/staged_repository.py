"""A repository whose changes become a request, for people elsewhere to sign.

Everything is as in `repository`, but for its one end: nothing in the folder changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuf.api.metadata import Metadata, Root, Targets

from holdfast.errors import PolicyError, Problem, UpdateError
from holdfast.updates.own_files import replace_file
from holdfast.updates.repository import Repository
from holdfast.updates.repository_settings import RepositorySettings
from holdfast.updates.request import (
    MAX_REQUEST_BYTES,
    MAX_ROOTS,
    Request,
    request_from_bytes,
    request_to_bytes,
)
from holdfast.updates.roles import ONLINE
from holdfast.updates.signed_roles import Holder
from holdfast.updates.signing import sign_request

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["StagedRepository", "read_request", "write_request"]

_SHARED = 0o644  # signatures protect it, not its mode


class StagedRepository(Repository):
    """A repository that is not written; `to` names the request."""

    to: Path

    def __init__(
        self,
        folder: Path,
        signers: Mapping[str, Signer],
        now: datetime,
        metadata: Mapping[str, Metadata[Any]],
        settings: RepositorySettings,
    ) -> None:
        """Keep what is there before anything changes."""
        super().__init__(folder, signers, now, metadata, settings)
        self._before = {role: one.to_bytes() for role, one in metadata.items()}
        self._replaced: dict[str, bytes] = {}

    def put(self, role: str, path: str, content: bytes) -> None:
        """Let a role list a file, and keep the one that it takes the place of."""
        if (former := self.content(role, path)) is not None:
            self._replaced[self.signed(role).targets[path].hashes["sha256"]] = former
        super().put(role, path, content)

    def put_file(self, role: str, path: str, draft: Path) -> None:  # noqa: ARG002  as there
        """Refuse: pins of single hosts are too many to be sent around."""
        draft.unlink(missing_ok=True)
        raise _not_by_request(role)

    def write_delegated(
        self, delegator: str, delegated: Iterable[tuple[str, Metadata[Targets]]]
    ) -> None:
        """Refuse, as `put_file` does."""
        for _ in delegated:
            raise _not_by_request(delegator)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep nobody out: nothing is written here."""
        yield

    def require(self, roles: Iterable[str]) -> None:
        """Miss no keys: others have them."""

    def exchange_keys(self, role: str, keys: Sequence[Holder], threshold: int) -> None:
        """Give a role other keys; who has to agree signs the request."""
        self._exchange(role, keys, threshold)

    def write(self, signing: Sequence[str], by: int = 1) -> None:
        """Write the request, with the signatures of the keys that are here.

        Args:
            signing: The roles that have changed. Snapshot and timestamp are signed at publication.
            by: How much higher their versions are.

        Raises:
            UpdateError: The request exists already, or a device did not sign.
            PolicyError: It would be too large.
            OSError: It cannot be written.
        """
        if self.to.exists():
            raise UpdateError(f"{self.to} exists", hint="requests are never overwritten")
        roles = [role for role in signing if role not in ONLINE]
        if not roles:
            raise UpdateError(
                "snapshot and timestamp are signed when a request is published",
                hint="name the roles that are to be signed again",
            )
        for role in roles:
            self._renew(role, by)
        is_new = by == 0
        kept = () if is_new else {"targets", *roles} - {"root"}
        request = Request(
            roots=() if is_new else self._roots(),
            before={role: Metadata.from_bytes(self._before[role]) for role in sorted(kept)},
            after={role: self._metadata[role] for role in roles},
            files=self._replaced
            | {sha256(content).hexdigest(): content for content in self._changed.values()},
        )
        sign_request(request, self._signers)
        write_request(self.to, request)

    def _roots(self) -> tuple[Metadata[Root], ...]:
        """Return the root metadata so far, as they are served."""
        newest = Metadata.from_bytes(self._before["root"])
        folder, last = self._folder / "metadata", newest.signed.version
        former = range(max(1, last - MAX_ROOTS + 1), last)
        return (*(Metadata.from_file(str(folder / f"{one}.root.json")) for one in former), newest)


def _not_by_request(role: str) -> UpdateError:
    return UpdateError(
        "pins of single hosts cannot be signed by request",
        hint=f"publish them where a threshold of the keys of {role} is",
    )


def read_request(file: Path) -> Request:
    """Read a request.

    Raises:
        PolicyError: It cannot be read, is too large, or has a mistake; every mistake is in its
            problems.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_REQUEST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = Problem("", f"it cannot be read: {reason}", "check the path")
        raise PolicyError([problem], source=str(file)) from error
    return request_from_bytes(data, source=str(file))


def write_request(file: Path, request: Request) -> None:
    """Write a request, as a whole.

    Raises:
        PolicyError: It would be too large.
        OSError: It cannot be written; what was there stays.
    """
    replace_file(file, request_to_bytes(request), _SHARED)
