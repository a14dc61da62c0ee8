"""The signatures of a request: which there are, who is missing, and what they vouch for. Pure.

1. No signature in it counts, and none is added to it, where one does not fit: then the content was
   changed after somebody had signed.
2. New root metadata takes the former keys and the new ones (TUF 5.3.4).
3. Where root gives targets other keys, the former ones may sign it too, and need not: they may be
   lost. With them it verifies under either root, whichever a client has in the middle of a refresh.
4. What a request builds on says who may sign it, so that is verified from a root that is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuf.api.exceptions import UnsignedMetadataError

from holdfast.errors import UpdateError
from holdfast.pins.pin import quoted
from holdfast.updates.key_card import check_keys, who
from holdfast.updates.request import Request
from holdfast.updates.roles import DELEGATED, TOP_LEVEL

if TYPE_CHECKING:
    from securesystemslib.signer import Key
    from tuf.api.metadata import Metadata, Root, Targets

__all__ = ["RoleSignatures", "merged", "missing_keys", "require_all", "signatures", "verify_base"]

_CHANGED = "somebody changed it on the way: ask who staged it, and stage it again"


class RoleSignatures:
    """How far the signatures of a role have come, by the keys that one delegator names.

    Attributes:
        role: The role.
        is_former: Whether these are the keys that the role had before.
        is_optional: Whether it counts without them too (rule 3).
        threshold: How many have to sign.
        signed: The keys that have.
        unsigned: Those that have not.
    """

    def __init__(
        self,
        role: str,
        delegator: Root | Targets,
        metadata: Metadata[Any],
        *,
        is_optional: bool = False,
    ) -> None:
        """Verify what is there."""
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        self.role, self.is_optional = role, is_optional
        self.is_former = is_optional or (role == "root" and delegator is not metadata.signed)
        self.threshold = result.threshold
        self.signed, self.unsigned = tuple(result.signed.values()), tuple(result.unsigned.values())

    @property
    def missing(self) -> int:
        """How many signatures are missing."""
        return 0 if self.is_optional else max(0, self.threshold - len(self.signed))

    def __str__(self) -> str:
        """Say who has signed and who can."""
        keys = "former keys" if self.is_former else "keys"
        if self.is_optional:
            keys += ", if they can still sign"
        words = f"{self.role} takes {self.threshold} of its {keys}; signed by {who(self.signed)}"
        if self.missing:
            words += f"; {self.missing} missing, of {who(self.unsigned)}"
        return words


def merged(requests: Sequence[Request]) -> Request:
    """Return one request with the signatures of copies that were signed apart.

    Raises:
        UpdateError: They are not about the same.
    """
    first, *others = requests
    for other in others:
        if (first.roots, first.before, first.files) != (other.roots, other.before, other.files) or (
            {role: one.signed for role, one in first.after.items()}
            != {role: one.signed for role, one in other.after.items()}
        ):
            raise UpdateError(
                "the requests are not about the same", hint="give copies of one request"
            )
        for role, metadata in other.after.items():
            known = first.after[role].signatures
            known.update({key: one for key, one in metadata.signatures.items() if key not in known})
    return first


def verify_base(request: Request, trusted: Metadata[Root] | None) -> None:
    """Verify what a request builds on.

    Args:
        request: It.
        trusted: Root metadata that are known; without them, the first of the request are believed.

    Raises:
        UpdateError: It does not come from there, or is not signed as it should be.
    """
    roots = list(request.roots)
    if trusted is not None:
        known = trusted.signed.version
        roots = [root for root in roots if root.signed.version >= known]
        if not roots or roots[0].signed != trusted.signed:
            raise UpdateError(
                f"the request does not come from the root that is known (version {known})",
                hint="it is of another repository, or forged: sign nothing",
            )
    try:
        for number, root in enumerate(roots):
            data = root.signed_bytes
            if number:
                roots[number - 1].signed.verify_delegate("root", data, root.signatures)
            root.signed.verify_delegate("root", data, root.signatures)
        for role, metadata in request.before.items():
            delegator = roots[-1].signed if role in TOP_LEVEL else request.before["targets"].signed
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise UpdateError(
            f"what the request builds on is not signed as it should be: {error}",
            hint="it is of another repository, or forged: sign nothing",
        ) from error


def signatures(request: Request) -> tuple[RoleSignatures, ...]:
    """Verify the signatures of a request by the keys that it builds on, and those that it brings.

    Raises:
        UpdateError: One does not fit or is a stranger's, or one person has two keys of a role.
    """
    _check_new_keys(request)
    found = []
    for role, metadata in request.after.items():
        states = [RoleSignatures(role, one, metadata) for one in _delegators(request, role)]
        if role == "targets" and (former := _former_root(request)) is not None:
            states.append(RoleSignatures(role, former, metadata, is_optional=True))
        allowed = {key.keyid for state in states for key in (*state.signed, *state.unsigned)}
        if strangers := metadata.signatures.keys() - allowed:
            raise UpdateError(
                f"a signature on {role} is of key {quoted(min(strangers)[:8])}, which may not sign",
                hint=_CHANGED,
            )
        for key in (key for state in states for key in state.unsigned):
            if key.keyid in metadata.signatures:
                raise UpdateError(
                    f"the signature of {who([key])} does not fit {role} as it is now",
                    hint=_CHANGED,
                )
        found += states
    return tuple(found)


def require_all(request: Request) -> None:
    """Refuse a request that not enough people have signed.

    Raises:
        UpdateError: Signatures are missing, each of which is named, or one does not fit.
    """
    if missing := [state for state in signatures(request) if state.missing]:
        raise UpdateError(
            "; ".join(map(str, missing)),
            hint="they sign it with `holdfast updates sign REQUEST --keys FOLDER`",
        )
    for role, metadata in request.after.items():
        for delegator in _delegators(request, role):
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


def missing_keys(request: Request) -> Iterator[tuple[str, Key]]:
    """Yield each role with each key that may sign it and has not."""
    for state in signatures(request):
        for key in state.unsigned:
            yield state.role, key


def _check_new_keys(request: Request) -> None:
    """Refuse two keys of one person, in any role whose keys the request says."""
    for name, roles in (("root", TOP_LEVEL), ("targets", DELEGATED)):
        metadata = request.after.get(name)
        if metadata is None:
            continue
        for role in roles:
            keyids = metadata.signed.get_delegated_role(role).keyids
            check_keys(role, [metadata.signed.get_key(keyid) for keyid in keyids])


def _former_root(request: Request) -> Root | None:
    """Return the root metadata that a request builds on, if targets had other keys by it."""
    before, after = request.root_before, request.after.get("root")
    if before is None or after is None or before.roles["targets"] == after.signed.roles["targets"]:
        return None
    return before


def _delegators(request: Request, role: str) -> list[Root | Targets]:
    """Return the metadata that say who may sign a role; of root, all of them have to be obeyed."""
    before, after = request.root_before, request.after.get("root")
    roots = [before] if before is not None else []
    if after is not None:
        roots.append(after.signed)
    if role == "root":
        return list(roots)
    if role in TOP_LEVEL:
        return [roots[-1]]
    targets = request.after.get("targets") or request.before["targets"]
    return [targets.signed]
