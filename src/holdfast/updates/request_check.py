"""Whether a request may be published here: against the repository as it is now, not as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.errors import UpdateError
from holdfast.updates.document import PINS_TARGET, POLICY_TARGET, Bundle, bundle_from_bytes
from holdfast.updates.epoch import epoch_of
from holdfast.updates.key_card import who
from holdfast.updates.key_folder import load_card
from holdfast.updates.repository import Repository
from holdfast.updates.request import Request
from holdfast.updates.request_changes import documents
from holdfast.updates.request_signatures import require_all
from holdfast.updates.roles import DELEGATED, ROLES, TOP_LEVEL
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.weakening import changes, may_be_made_by_pins_role

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import Metadata, Root, Targets

    from holdfast.updates.repository_settings import RepositorySettings

__all__ = ["check_request", "differences"]

_STAGE = "stage it again with `holdfast updates stage`"


def check_request(request: Request, repository: Repository) -> None:
    """Refuse a request that may not be published.

    Args:
        request: It, with all signatures that there are.
        repository: Where it is to be published.

    Raises:
        UpdateError: It is of another repository or of an older state, signatures are missing, or
            clients would refuse it.
        PolicyError: A file in it could be used by no client.
    """
    _check_base(request, repository)
    require_all(request)
    _check_rest(request, repository)
    for role, metadata in request.after.items():
        if metadata.signed.expires <= repository.now:
            raise UpdateError(f"{role} has expired since it was staged", hint=_STAGE)
    _check_documents(request, repository)


def differences(
    role: str, delegator: Root | Targets, settings: RepositorySettings, folder: Path
) -> Iterator[str]:
    """Yield where signed metadata are not as `repository.toml` says.

    Args:
        role: The role.
        delegator: What says who may sign it.
        settings: What the file says.
        folder: Where it is.

    Raises:
        PolicyError: A card that it names cannot be read.
    """
    rule, wanted = delegator.get_delegated_role(role), settings.roles[role]
    if rule.threshold != wanted.threshold:
        yield f"its threshold is {rule.threshold}, by repository.toml {wanted.threshold}"
    if len(rule.keyids) != wanted.keys:
        yield f"it has {len(rule.keyids)} keys, by repository.toml {wanted.keys}"
    cards = settings.cards.get(role, ())
    listed = [load_card(folder / card).key for card in cards]
    if cards and {key.keyid for key in listed} != set(rule.keyids):
        keys = who(map(delegator.get_key, rule.keyids))
        yield f"its keys are those of {keys}, by repository.toml of {who(listed)}"


def _check_base(request: Request, repository: Repository) -> None:
    """Refuse a request that does not build on what is served now."""
    if not request.roots:
        _check_first(request, repository)
        return
    base: dict[str, Metadata[Any]] = {"root": request.roots[-1], **request.before}
    for role, metadata in base.items():
        known = repository.metadata(role).signed
        if metadata.signed.version != known.version:
            raise UpdateError(
                f"the request builds on version {metadata.signed.version} of {role}, "
                f"and version {known.version} is published",
                hint=f"{_STAGE}: somebody has published since",
            )
        if metadata.signed != known:
            raise UpdateError(
                f"the request builds on another {role} than is published here",
                hint="it is of another repository: check DIR",
            )


def _check_first(request: Request, repository: Repository) -> None:
    """Refuse a new repository of others than those who are to sign it: nothing else vouches."""
    for role in ROLES:
        owner = request.after["root" if role in TOP_LEVEL else "targets"].signed
        found = differences(role, owner, repository.settings, repository.folder)
        if words := next(found, None):
            raise UpdateError(
                f"the request makes another repository than is wanted here: {role}: {words}",
                hint="is it the one that was staged? if repository.toml has changed, "
                "stage it again",
            )


def _check_rest(request: Request, repository: Repository) -> None:
    """Refuse new keys for a role whose metadata would stay signed with the old ones."""
    after = request.after
    root = after["root"].signed if "root" in after else repository.signed("root")
    targets = after["targets"].signed if "targets" in after else repository.signed("targets")
    bins = (after["pins"] if "pins" in after else repository.metadata("pins")).signed.delegations
    if bins is not None and bins.keys.keys() != {*targets.get_delegated_role("pins").keyids}:
        raise UpdateError(
            "the pins of single hosts would stay with the former keys of pins",
            hint="give it new keys without a request, where a threshold of all who sign is",
        )
    for role in ("targets", *DELEGATED):
        if role in after:
            continue
        metadata, delegator = repository.metadata(role), root if role in TOP_LEVEL else targets
        if not delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures):
            raise UpdateError(
                f"{role} would be signed by keys that may sign it no longer",
                hint="the request has to sign it again too: stage it with `rotate-key`",
            )


def _begins_epoch(request: Request) -> bool:
    """Tell whether a request begins an epoch; a lower one than before is refused, as by clients."""
    if "targets" not in request.after or not request.before:
        return False
    before, after = (epoch_of(table["targets"].signed) for table in (request.before, request.after))
    if after < before:
        raise UpdateError(
            f"the request is of epoch {after}, and epoch {before} is published", hint=_STAGE
        )
    return after > before


def _check_documents(request: Request, repository: Repository) -> None:
    """Refuse what clients would, measured as they do (see `accept`)."""
    before = documents(request, request.before, repository.now)
    after = documents(request, request.after, repository.now)
    is_new_epoch = _begins_epoch(request)
    for path, document in after.items():
        former = before.get(path)
        if is_new_epoch and isinstance(document, Bundle):
            continue  # its serials begin anew
        if former is not None and document.serial <= former.serial and document != former:
            raise UpdateError(
                f"{path} has serial {document.serial}, and {former.serial} is published",
                hint=_STAGE,
            )
    bundle, measure = after.get(PINS_TARGET), after.get(POLICY_TARGET)
    if measure is None and (content := repository.content("targets", POLICY_TARGET)) is not None:
        measure = bundle_from_bytes(content, now=repository.now, source=POLICY_TARGET)
    if isinstance(measure, Bundle) and measure.candidate is not None:
        raise UpdateError(f"{POLICY_TARGET} has a candidate, which clients refuse", hint=_STAGE)
    if not isinstance(bundle, Bundle):
        return
    if not isinstance(measure, Bundle):
        raise UpdateError("the first policy needs the keys of `targets`", hint=_STAGE)
    candidates = () if bundle.candidate is None else (bundle.candidate.policy,)
    for policy in (bundle.policy, *candidates):
        found = changes(measure.policy, policy)
        if not may_be_made_by_pins_role(found):
            raise UpdateError(
                f"more than pins changes, which clients refuse: {in_words(found)}",
                hint="stage it with `publish --rules`",
            )
