"""The errors of Holdfast, in one tree.

    HoldfastError
    ├── PinFormatError          ValueError    text that is not a pin
    ├── HostNameError           ValueError    text that is not a host name or a host pattern
    ├── PolicyError             ValueError    a policy that cannot be used; has every problem
    │   └── UnknownFormatError  ValueError    a document in the format of a newer Holdfast
    ├── CertificateError        ValueError    bytes that are no certificate or key
    ├── TrustStoreError         ValueError    no trust anchors, or unusable ones
    ├── PinnedContextError      ValueError    a pinned context asked to let something pass unchecked
    ├── UncoveredStackError     ImportError   a TLS stack that cannot be pinned, where it must be
    ├── LossError               ValueError    a policy that another TLS stack cannot hold as it is
    ├── UnsupportedRuntimeError RuntimeError  no access to the path that OpenSSL verified
    ├── UpdateError             ValueError    signed files that cannot be fetched or do not verify
    │   └── DenialsOnlyError    ValueError    of which the deny list verifies, and the pins do not
    ├── CacheError              OSError       a cache of updates that cannot be used or written
    └── PinViolationError       ssl.SSLCertVerificationError  (in `holdfast.enforcement.errors`)
        └── OpenSSLViolationError  OpenSSL.SSL.Error  (in `holdfast.enforcement.clients.pyopenssl`)

Each is also the standard kind that its caller would expect. A message says what is wrong and where;
its `hint`, where there is one, says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Mistake(StrEnum):
    """What kind of mistake it is, where lint has a rule of its own for it."""

    EMPTY_INPUT = "empty-input"  # the SHA-256 of nothing
    ALL_ZERO = "all-zero"
    LENGTH = "length"
    ENCODING = "encoding"  # hexadecimal, URL-safe, unpadded
    TWICE = "twice"
    ONE_PIN = "one-pin"
    NO_BACKUP = "no-backup"
    MISSPELT_KEY = "misspelt-key"


class HoldfastError(Exception):
    """The root of every error that Holdfast raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep the one-line message, and the fix when there is one to offer."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message and the hint: a traceback should show the fix too."""
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class PinFormatError(HoldfastError, ValueError):
    """Text or bytes that are not an acceptable pin."""

    def __init__(
        self, message: str, *, hint: str | None = None, mistake: Mistake | None = None
    ) -> None:
        """Keep what kind of mistake it is too, where it is a known one."""
        super().__init__(message, hint=hint)
        self.mistake = mistake


class HostNameError(HoldfastError, ValueError):
    """Text that is not a host name, IP literal or host pattern."""


class CertificateError(HoldfastError, ValueError):
    """Bytes that are not the certificate, key or signing request they should be."""


class TrustStoreError(HoldfastError, ValueError):
    """A trust store that is empty or cannot be read."""


class PinnedContextError(HoldfastError, ValueError):
    """A pinned context was asked for something that would let a connection pass unchecked."""


class UncoveredStackError(HoldfastError, ImportError):
    """A module with a TLS stack of its own was imported where only pinned hosts may be reached."""


class LossError(HoldfastError, ValueError):
    """A policy that another TLS stack cannot hold as it is, where nothing may be lost."""


class UnsupportedRuntimeError(HoldfastError, RuntimeError):
    """This interpreter gives no access to the path that OpenSSL verified."""


class UpdateError(HoldfastError, ValueError):
    """Signed files that cannot be fetched, or that do not verify."""


class DenialsOnlyError(UpdateError):
    """Signed files of which the deny list verifies, and the pins do not."""

    def __init__(self, message: str, *, emergency: bytes, epoch: int) -> None:
        """Hand on what counts all the same: the deny list, and the epoch in which it was made."""
        super().__init__(message)
        self.emergency = emergency
        self.epoch = epoch


class CacheError(HoldfastError, OSError):
    """A cache of updates that others could have written, or that cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a policy: where it stands, what is wrong, and what to write instead."""

    place: str
    message: str
    fix: str
    mistake: Mistake | None = None

    @classmethod
    def of(cls, place: str, error: HoldfastError, otherwise: str) -> Problem:
        """Return what an error says about a place.

        Args:
            place: Where the mistake stands.
            error: What was raised.
            otherwise: The fix, where the error has none.
        """
        mistake = error.mistake if isinstance(error, PinFormatError) else None
        return cls(place, error.message, error.hint or otherwise, mistake)

    def __str__(self) -> str:
        """Return the problem on one line."""
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.message}; {self.fix}"

    def under(self, place: str) -> Problem:
        """Return the same problem, seen from one level further out."""
        separator = "" if not self.place or self.place.startswith("[") else "."
        return replace(self, place=f"{place}{separator}{self.place}")


class PolicyError(HoldfastError, ValueError):
    """A policy with at least one mistake. All of them are told at once in `problems`."""

    def __init__(
        self, problems: tuple[Problem, ...] | list[Problem], *, source: str | None = None
    ) -> None:
        """Keep the problems, and the name of the file they stand in when there is one."""
        self.problems = tuple(problems)
        self.source = source
        count = len(self.problems)
        head = f"{source or 'policy'}: {count} problem{'' if count == 1 else 's'}"
        super().__init__("\n  ".join([head, *map(str, self.problems)]))


class UnknownFormatError(PolicyError):
    """A document whose format number is higher than this version knows; it may be all right."""
