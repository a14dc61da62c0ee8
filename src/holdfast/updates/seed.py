"""The policy that ships with an application, for before its first update and for measuring updates.

It comes from the same build as the root metadata, and is trusted as the application is. A file of
it is one of

    {"format": 1, "epoch": 2, "bundle": {...}}     what was published, with its order
    {"format": 1, "serial": 7, ...}                a bundle, of the first epoch
                                                   (of a roll-out, the stable policy)
    pins.toml, pins.json                           a policy; whatever is published is newer
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdfast.certificates.load_policy import load_policy, read_text
from holdfast.errors import PolicyError, Problem
from holdfast.pins.decode_document import decode_document
from holdfast.pins.policy import Policy
from holdfast.updates.document import bundle_from_bytes

__all__ = ["Seed", "load_seed"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Seed:
    """A shipped policy.

    Attributes:
        policy: The policy.
        epoch: In which it was published; 0 if it was not.
        serial: Within the epoch; 0 if it was not published.
    """

    policy: Policy
    epoch: int = 0
    serial: int = 0


def load_seed(path: str | os.PathLike[str], now: datetime) -> Seed:
    """Read a seed.

    Args:
        path: The file.
        now: The time against which break-glass in it is measured, with an offset.

    Raises:
        PolicyError: It cannot be read or has a mistake.
    """
    file = Path(path)
    if file.suffix.lower() != ".json":
        return Seed(load_policy(file))
    document = decode_document(
        read_text(file, "ship the seed beside the root metadata"), "json", source=str(file)
    )
    if "bundle" in document:
        epoch = _epoch_of(document, str(file))
        data = json.dumps(document["bundle"]).encode()
    elif "serial" in document:
        epoch, data = 1, json.dumps(document).encode()
    else:
        return Seed(load_policy(file))
    bundle = bundle_from_bytes(data, now=now, source=str(file))
    return Seed(bundle.policy, epoch, bundle.serial)


def _epoch_of(document: dict[str, object], source: str) -> int:
    epoch, problems = document.get("epoch"), []
    if document.get("format") != FORMAT:
        problems.append(Problem("format", "this is no format of a seed", f"write {FORMAT}"))
    if type(epoch) is not int or epoch < 1:
        problems.append(Problem("epoch", "it is no epoch", "write a whole number from 1"))
    problems += [
        Problem(ascii(key), "the key is not known", "remove it")
        for key in document.keys() - {"format", "epoch", "bundle"}
    ]
    if problems or not isinstance(epoch, int):
        raise PolicyError(problems, source=source)
    return epoch
