"""What a request changes, in words, for the person who is to sign it. Pure.

1. All of it is told from the content, and a person sees it before anything is signed: what weakens
   stands first, and of that who and how many have to sign from now on.
2. What has no words here is told as it stands and counts as a weakening: nothing is signed unseen.
3. Pin sets that change are told whole too, since the difference in words shortens long lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tuf.api.metadata import SPECIFICATION_VERSION

from holdfast.certificates.pem import certificate_text
from holdfast.pins.pin_set import place_of
from holdfast.pins.policy_writer import policy_to_document, time_text
from holdfast.updates.document import (
    BREAK_GLASS_TARGET,
    DENY_TARGET,
    PINS_TARGET,
    POLICY_TARGET,
    BreakGlass,
    Bundle,
    DenyList,
    break_glass_from_bytes,
    bundle_from_bytes,
    deny_list_from_bytes,
)
from holdfast.updates.epoch import EPOCH_FIELD
from holdfast.updates.key_card import owner_of
from holdfast.updates.request import Request
from holdfast.updates.roles import DELEGATED
from holdfast.updates.rule_comparison import Change, Kind, kind_of
from holdfast.updates.weakening import changes

if TYPE_CHECKING:
    from securesystemslib.signer import Key
    from tuf.api.metadata import Metadata, Root, Targets

__all__ = ["documents", "request_changes"]

_KINDS = list(Kind)
_THRESHOLD, _KEYS = ".threshold", ".keys"
# What is told in words; the rest of metadata and bundles is told as it stands.
_TOLD_OF_METADATA = {
    "_type",
    "version",
    "expires",
    "keys",
    "roles",
    "targets",
    "delegations",
    EPOCH_FIELD,
}
_TOLD_OF_BUNDLE = {"format", "serial", "issued", "refresh_seconds", "policy", "candidate"}
_TOLD_OF_ROLE = {"keyids", "threshold", "name"}
# What a new repository is compared with, so that only what is not as usual is told of it.
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "root": {"consistent_snapshot": True, "spec_version": ".".join(SPECIFICATION_VERSION)},
    "targets": {"spec_version": ".".join(SPECIFICATION_VERSION)},
}
_USUAL_ROLES = {role: {"paths": [paths], "terminating": True} for role, paths in DELEGATED.items()}

_Document = Bundle | DenyList | BreakGlass


def documents(
    request: Request, tables: Mapping[str, Metadata[Any]], now: datetime
) -> dict[str, _Document]:
    """Read the files that metadata of a request list, by their paths.

    Args:
        request: It.
        tables: `request.before` or `request.after`.
        now: The time against which break-glass is measured, with an offset.

    Raises:
        PolicyError: A file has a mistake, so that no client could use it.
    """
    readers: dict[tuple[str, str], Callable[[bytes], _Document]] = {
        ("targets", POLICY_TARGET): lambda data: bundle_from_bytes(
            data, now=now, source=POLICY_TARGET
        ),
        ("pins", PINS_TARGET): lambda data: bundle_from_bytes(data, now=now),
        ("emergency", DENY_TARGET): deny_list_from_bytes,
        ("breakglass", BREAK_GLASS_TARGET): break_glass_from_bytes,
    }
    contents = {
        path: (request.content(tables.get(role), path), read)
        for (role, path), read in readers.items()
    }
    return {path: read(data) for path, (data, read) in contents.items() if data is not None}


def request_changes(request: Request, now: datetime) -> tuple[Change, ...]:
    """Say what a request changes.

    Args:
        request: It; what it builds on has been verified.
        now: The time, with an offset.

    Returns:
        Each change: a lowered threshold before all, then what weakens, then who may sign.

    Raises:
        PolicyError: A file in it could be used by no client.
    """
    found = [*_root_changes(request), *_targets_changes(request)]
    for role, metadata in request.after.items():
        signed = metadata.signed
        words = f"version {signed.version}, to be signed again before {time_text(signed.expires)}"
        found.append(Change(role, words, Kind.NEUTRAL))
        former = request.roots[-1] if role == "root" and request.roots else request.before.get(role)
        usual = _USUAL[signed.type]
        found += _other(role, usual if former is None else _rest(former), _rest(metadata))
        found += _listing_changes(role, former, metadata)
    found += _document_changes(request, now)
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _order(change: Change) -> tuple[int, int]:
    """Return where a change stands: what matters most to who signs stands first."""
    kind = _KINDS.index(change.kind)
    if change.kind is Kind.WEAKENING:
        return (0 if change.place.endswith(_THRESHOLD) else 1), kind
    return (2 if change.place.endswith(_KEYS) else 3), kind


def _root_changes(request: Request) -> Iterator[Change]:
    after = request.after.get("root")
    if after is None:
        return
    former = request.root_before
    for role in after.signed.roles:
        yield from _rule_changes(role, role, former, after.signed)
        before = {} if former is None else former.roles[role].to_dict()
        rest = after.signed.roles[role].to_dict()
        yield from _other(role, _without(before, _TOLD_OF_ROLE), _without(rest, _TOLD_OF_ROLE))


def _targets_changes(request: Request) -> Iterator[Change]:
    after = request.after.get("targets")
    if after is None:
        return
    former = request.before["targets"].signed if request.before else None
    epoch = after.signed.unrecognized_fields.get(EPOCH_FIELD, 1)
    epoch_before = 1 if former is None else former.unrecognized_fields.get(EPOCH_FIELD, 1)
    if epoch != epoch_before:
        words = f"the epoch goes from {epoch_before} to {epoch}: older denials end"
        yield Change("targets.epoch", words, Kind.WEAKENING)
    old = _USUAL_ROLES if former is None else _delegated(former)
    new = _delegated(after.signed)
    if list(old) != list(new):
        words = f"it delegates to {', '.join(new) or 'nobody'}, in this order"
        yield Change("targets.delegations", words, Kind.WEAKENING)
    for role in new:
        is_new = former is None or role not in old
        yield from _rule_changes(role, role, None if is_new else former, after.signed)
        yield from _other(
            f"targets.delegations.{role}",
            _without(old.get(role, {}), _TOLD_OF_ROLE),
            _without(new[role], _TOLD_OF_ROLE),
        )
    yield from _other("targets.delegations", _beside_roles(former), _beside_roles(after.signed))


def _rule_changes(
    place: str, role: str, former: Root | Targets | None, owner: Root | Targets
) -> Iterator[Change]:
    """Compare who may sign a role, and how many of them have to."""
    rule, keys = owner.get_delegated_role(role), _keys_of(role, owner)
    if former is None:
        words = f"it takes {rule.threshold} of {', '.join(map(_named, keys.values())) or 'nobody'}"
        yield Change(f"{place}{_KEYS}", words, Kind.NEUTRAL)
        return
    rule_before, keys_before = former.get_delegated_role(role), _keys_of(role, former)
    if rule.threshold != rule_before.threshold:
        words = f"the threshold goes from {rule_before.threshold} to {rule.threshold}"
        is_looser = rule.threshold < rule_before.threshold
        kind = kind_of(is_looser=is_looser, is_tighter=True)
        yield Change(f"{place}{_THRESHOLD}", words, kind)
    if len(keys) != len(keys_before):
        words = f"the keys that may sign it go from {len(keys_before)} to {len(keys)}"
        is_looser = len(keys) > len(keys_before)
        yield Change(f"{place}{_KEYS}", words, kind_of(is_looser=is_looser, is_tighter=True))
    for keyid in keys_before | keys:
        if keyid not in keys:
            words = f"{_named(keys_before[keyid])} may sign no longer"
        elif keyid not in keys_before:
            words = f"{_named(keys[keyid])} may sign from now on"
        elif keys[keyid] != keys_before[keyid]:
            words = f"the key of {_named(keys_before[keyid])} is now that of {_named(keys[keyid])}"
        else:
            continue
        yield Change(f"{place}{_KEYS}", words, Kind.NEUTRAL)


def _keys_of(role: str, owner: Root | Targets) -> dict[str, Key]:
    return {keyid: owner.get_key(keyid) for keyid in owner.get_delegated_role(role).keyids}


def _named(key: Key) -> str:
    return f"{owner_of(key)} ({key.keyid})"


def _delegated(targets: Targets) -> dict[str, dict[str, Any]]:
    roles = {} if targets.delegations is None else targets.delegations.roles or {}
    return {name: role.to_dict() for name, role in roles.items()}


def _beside_roles(targets: Targets | None) -> dict[str, Any]:
    if targets is None or targets.delegations is None:
        return {}
    return _without(targets.delegations.to_dict(), {"keys", "roles"})


def _listing_changes(
    role: str, former: Metadata[Any] | None, metadata: Metadata[Any]
) -> Iterator[Change]:
    """Tell of files that are not there any more, and of what is listed beside a hash."""
    if role == "root":
        return
    old = {} if former is None else former.signed.targets
    for path in old.keys() - metadata.signed.targets.keys():
        yield Change(role, f"{path} is not there any more", Kind.WEAKENING)
    for path, target in metadata.signed.targets.items():
        before = old[path].unrecognized_fields if path in old else {}
        yield from _other(f"{role}.{path}", before, target.unrecognized_fields)


def _document_changes(request: Request, now: datetime) -> Iterator[Change]:
    before, after = documents(request, request.before, now), documents(request, request.after, now)
    told: set[Change] = set()
    for path, document in after.items():
        former = before.get(path)
        if former == document:
            continue
        if isinstance(document, Bundle):
            for change in _bundle_changes(path, former, document, request):
                if change not in told:  # the rules and the pins are one bundle, as a rule
                    told.add(change)
                    yield change
        elif isinstance(document, DenyList):
            yield from _denials(former, document)
        else:
            yield from _break_glass(former, document)


def _bundle_changes(
    path: str, former: _Document | None, bundle: Bundle, request: Request
) -> Iterator[Change]:
    role = "targets" if path == POLICY_TARGET else "pins"
    yield Change(path, f"serial {bundle.serial}", Kind.NEUTRAL)
    old: dict[str, Any] = {}
    if isinstance(former, Bundle):
        yield from changes(former.policy, bundle.policy)
        old = json.loads(request.content(request.before[role], path) or b"{}")
        if former.refresh != bundle.refresh:
            words = f"clients ask again after {bundle.refresh}, not {former.refresh}"
            yield Change("refresh", words, Kind.NEUTRAL)
    new = json.loads(request.content(request.after[role], path) or b"{}")
    yield from _other("bundle", _without(old, _TOLD_OF_BUNDLE), _without(new, _TOLD_OF_BUNDLE))
    yield from _candidate_changes(former, bundle)
    tables = policy_to_document(bundle.policy, write_anchor=certificate_text)
    was = {one.name: one for one in former.policy.pin_sets} if isinstance(former, Bundle) else {}
    if not was:
        yield Change("holdfast", _plain(tables["holdfast"]), Kind.NEUTRAL)
    for pin_set in bundle.policy.pin_sets:
        if was.get(pin_set.name) != pin_set:
            words = f"is {_plain(tables['pin_set'][pin_set.name])}"
            yield Change(place_of(pin_set.name), words, Kind.PINS)


def _candidate_changes(former: _Document | None, bundle: Bundle) -> Iterator[Change]:
    before = former.candidate if isinstance(former, Bundle) else None
    candidate = bundle.candidate
    if candidate is None:
        if before is not None:
            words = f"the one for {before.percent} % of clients is dropped"
            yield Change("candidate", words, Kind.NEUTRAL)
        return
    words = f"{candidate.percent} % of clients follow another policy than the others"
    yield Change("candidate", words, Kind.PINS)
    for change in changes(bundle.policy, candidate.policy):
        yield replace(change, place=f"candidate.{change.place}")


def _denials(former: _Document | None, deny: DenyList) -> Iterator[Change]:
    before = former.denied if isinstance(former, DenyList) else frozenset()
    for pin in sorted(before - deny.denied, key=str):
        yield Change("denied", f"{pin} is denied no longer", Kind.WEAKENING)
    for pin in sorted(deny.denied - before, key=str):
        yield Change("denied", f"{pin} is denied", Kind.STRENGTHENING)


def _break_glass(former: _Document | None, opened: BreakGlass) -> Iterator[Change]:
    before = former.until if isinstance(former, BreakGlass) else {}
    for name in sorted({*before, *opened.until}):
        until = opened.until.get(name)
        if until is None:
            yield Change(place_of(name), "break-glass ends", Kind.STRENGTHENING)
        elif until != before.get(name):
            yield Change(
                place_of(name), f"report-only until {time_text(until)}: break-glass", Kind.WEAKENING
            )


def _rest(metadata: Metadata[Any]) -> dict[str, Any]:
    return _without(metadata.signed.to_dict(), _TOLD_OF_METADATA)


def _without(table: Mapping[str, Any], told: set[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in told}


def _other(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Tell of what has no words here."""
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            words = f"was {_plain(before[key])}, and is gone"
        elif key not in before:
            words = f"is {_plain(after[key])}"
        elif before[key] != after[key]:
            words = f"goes from {_plain(before[key])} to {_plain(after[key])}"
        else:
            continue
        yield Change(f"{place}.{key}", words, Kind.WEAKENING)


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True)
