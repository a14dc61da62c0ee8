"""Which clients have which policy: what one of them tells, and how the collector checks it. Pure.

    {"format": 1, "application": "shop", "installation": "<64 hex digits>", "epoch": 1, "serial": 7,
     "candidate": false, "state": "fresh", "sent": "2026-11-01T00:00:00Z"}
    Holdfast-Signature: hmac-sha256=<64 hex digits>

1. `installation` is the HMAC of application and period under the installation value, which never
   leaves the machine. It is another one for each application, and for each period of 90 days, so
   that nobody can follow an installation from one to another.
2. The signature is over the bytes of the body. It is looked at before anything else of them, in a
   time that does not depend on where it differs, and only for the application that owns the key.
3. The key lies in the application, where whoever has that can read it. It keeps strangers from
   telling of clients that do not exist; it does not keep them from it who take the key out. So
   nothing may follow from adoption alone that locks clients out.
4. A report counts near the time at which it was sent. Within that a replay only says again what was
   said; the collector must not let an older report of an installation replace a newer one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.errors import Problem, UpdateError
from holdfast.pins.field_readers import Reader, choice, flag, moment, wrong_type
from holdfast.pins.policy_writer import time_text
from holdfast.updates.document_text import (
    MAX_SERIAL,
    decoded,
    encoded,
    read_fields,
    refusal,
)
from holdfast.updates.freshness import State

__all__ = [
    "MAX_REPORT_BYTES",
    "PERIOD",
    "REPLAY_WINDOW",
    "SIGNATURE_HEADER",
    "Adoption",
    "Report",
    "installation_name",
    "report_from_bytes",
    "report_to_bytes",
    "signature_of",
]

SIGNATURE_HEADER = "Holdfast-Signature"
PERIOD = timedelta(days=90)
REPLAY_WINDOW = timedelta(hours=1)  # a client whose clock is further off does not count
MAX_REPORT_BYTES = 1024  # one with the longest application and numbers has 330
_KEY_BYTES = 32  # RFC 2104 section 3: not less than the length of the hash
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_APPLICATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE = re.compile(r"hmac-sha256=[0-9a-f]{64}", re.ASCII)
_SOURCE = "adoption report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Where a client tells which policy it has. Without one it tells nobody.

    Attributes:
        url: The https address that reports are posted to.
        application: Its name, the same for all its installations: up to 64 of A-Z, a-z, 0-9 and
            `._-`.
        key: At least 32 random bytes, shared with the collector; another one for each application.

    Raises:
        UpdateError: The application or the key is none.
    """

    url: str
    application: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check application and key; the address is for whoever connects to it."""
        if type(self.application) is not str or not _APPLICATION.fullmatch(self.application):
            raise UpdateError(
                "the application of adoption has no usable name",
                hint="write up to 64 of A-Z, a-z, 0-9 and ._-",
            )
        if type(self.key) is not bytes or len(self.key) < _KEY_BYTES:
            raise UpdateError(
                f"the key of adoption is not {_KEY_BYTES} bytes or more",
                hint=f"make it with secrets.token_bytes({_KEY_BYTES})",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one client tells.

    Attributes:
        application: Its name.
        installation: See `installation_name`.
        epoch: Of what is in force; 0 for a seed without one, and while there is nothing.
        serial: Within the epoch; 0 likewise.
        candidate: Whether the candidate is in force, and not the stable policy.
        state: How far the client can rely on it to be the newest.
        sent: When it was sent, with an offset; whole seconds are kept.
    """

    application: str
    installation: str
    epoch: int
    serial: int
    candidate: bool
    state: State
    sent: datetime


def installation_name(installation: bytes, application: str, now: datetime) -> str:
    """Return how an installation is called in the reports of an application, in this period.

    Args:
        installation: The installation value.
        application: The name of the application.
        now: The time, with an offset. Periods are counted from 1970-01-01, the same for everybody.
    """
    period = (now - _EPOCH) // PERIOD
    return hmac.new(installation, f"{application}|{period}".encode(), hashlib.sha256).hexdigest()


def report_to_bytes(report: Report) -> bytes:
    """Write a report.

    Raises:
        PolicyError: It is beyond a limit, so that no collector would read it.
    """
    document = {
        "application": report.application,
        "installation": report.installation,
        "epoch": report.epoch,
        "serial": report.serial,
        "candidate": report.candidate,
        "state": report.state.value,
        "sent": time_text(report.sent),
    }
    return encoded(document, MAX_REPORT_BYTES, _SOURCE)


def signature_of(body: bytes, key: bytes) -> str:
    """Return the value of the header `Holdfast-Signature` for a body."""
    return f"hmac-sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def report_from_bytes(
    body: bytes, signature: str, keys: Mapping[str, Iterable[bytes]], now: datetime
) -> Report:
    """Check and read a report, as the collector must before it counts.

    Args:
        body: The bytes that were posted.
        signature: The value of the header.
        keys: By application, the keys that count: the present one, and for a while the one before.
        now: The collector's time, with an offset.

    Raises:
        UpdateError: It is too long, no key of its application has signed it, or it was sent at
            another time.
        PolicyError: It was signed, and has a mistake, or is in the format of a newer Holdfast.
    """
    if len(body) > MAX_REPORT_BYTES:
        raise UpdateError(f"the report has more than {MAX_REPORT_BYTES} bytes")
    owners = _owners(body, signature, keys)
    if not owners:
        raise UpdateError("no key that is known has signed the report")
    document = decoded(body, MAX_REPORT_BYTES, _SOURCE)
    problems: list[Problem] = []
    fields = read_fields(document, _READERS, problems)
    if problems:
        raise refusal(problems, _SOURCE)
    report = Report(**{name: fields[name] for name in _READERS})
    if report.application not in owners:
        raise UpdateError("the report is signed with the key of another application")
    if abs(now - report.sent) > REPLAY_WINDOW:
        raise UpdateError("the report was not sent now: it is a replay, or a clock is wrong")
    return report


def _owners(body: bytes, signature: str, keys: Mapping[str, Iterable[bytes]]) -> set[str]:
    """Return the applications a key of which has signed; each key takes the same time."""
    if not _SIGNATURE.fullmatch(signature):
        raise UpdateError("the report has no signature", hint="send hmac-sha256=<64 hex digits>")
    return {
        application
        for application, known in keys.items()
        # A list: the first key that fits does not spare the rest.
        if any([hmac.compare_digest(signature, signature_of(body, key)) for key in known])  # noqa: C419
    }


def _text(pattern: re.Pattern[str], fix: str) -> Reader[str]:
    def read(value: object, place: str, problems: list[Problem]) -> str | None:
        if not isinstance(value, str):
            problems.append(wrong_type(value, place, "text", fix))
        elif not pattern.fullmatch(value):
            problems.append(Problem(place, "this is not what stands here", fix))
        else:
            return value
        return None

    return read


def _number(value: object, place: str, problems: list[Problem]) -> int | None:
    fix = "write a whole number from 0 to 2^63 - 1"
    if type(value) is not int:
        problems.append(wrong_type(value, place, "a whole number", fix))
    elif not 0 <= value <= MAX_SERIAL:
        problems.append(Problem(place, "the number is out of range", fix))
    else:
        return value
    return None


_READERS: dict[str, Reader[Any]] = {
    "application": _text(_APPLICATION, "write up to 64 of A-Z, a-z, 0-9 and ._-"),
    "installation": _text(_NAME, "write 64 lower-case hex digits"),
    "epoch": _number,
    "serial": _number,
    "candidate": flag,
    "state": choice(State),
    "sent": moment,
}
