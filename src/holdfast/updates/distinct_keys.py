"""See to it that each key signs once, under however many names a role lists it.

python-tuf counts names of keys, and does not look at what they name: one key under two names would
reach a threshold of two. In the computation of the threshold each key contributes one signature
(TUF specification 1.0.33, section 5.3.4; go-tuf #733 is the same mistake).

Roles are not refused for it: a root that lists a key twice by mistake could never be got past.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from tuf.api.metadata import Delegations, Metadata, Role, Root

if TYPE_CHECKING:
    from securesystemslib.signer import Key

__all__ = ["count_keys_of_root_once", "count_keys_once"]


def count_keys_of_root_once(root: Root, data: bytes) -> None:
    """Do so in a root that python-tuf has verified, and verify its own signatures anew.

    Args:
        root: What decides who signs the next root and the other roles; names are taken out of it.
        data: The whole of it, with signatures.

    Raises:
        UnsignedMetadataError: Fewer keys have signed than it asks for itself.
    """
    if count_keys_once(root):
        metadata = Metadata[Root].from_bytes(data)
        root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)


def count_keys_once(delegator: Root | Delegations) -> bool:
    """Take all names of a key but the first out of each role, and return whether there were any."""
    roles: Iterable[Role] = (delegator.roles or {}).values()
    if isinstance(delegator, Delegations) and delegator.succinct_roles is not None:
        roles = [delegator.succinct_roles]
    found = False
    for role in roles:
        names: dict[bytes, str] = {}
        for name in role.keyids:
            if name in delegator.keys:
                names.setdefault(_key_itself(delegator.keys[name]), name)
        if len(names) < len(role.keyids):
            role.keyids = list(names.values())
            found = True
    return found


def _key_itself(key: Key) -> bytes:
    """Return what is the same for a key in each spelling, under each name and for each scheme."""
    public = key.keyval.get("public")
    if not isinstance(public, str):
        return json.dumps(key.keyval, sort_keys=True).encode()
    if public.lstrip().startswith("-----BEGIN"):
        try:
            loaded = load_pem_public_key(public.encode())
        except (ValueError, UnsupportedAlgorithm):
            return public.encode()  # no signature by it verifies
        return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.lower().encode()
