"""From decoded TOML to the rules of a repository's roles: `repository.toml`. Pure.

    format = 1
    profile = "saas"          # optional: what is left out below is as it says

    [role.root]
    threshold = 2
    keys = ["cards/alice.card.json", "cards/bob.card.json", "cards/carol.card.json"]
    days = 365

1. `keys` is how many are made on this machine, or the cards of the people who have them, named
   relative to the file.
2. The days are what each signature goes by. Threshold and keys are wishes: they take effect with
   `init` and `rotate-key`, since only signed metadata says who may sign.
3. The file lies in a folder that is served. Nothing in it is secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import PolicyError, Problem
from holdfast.pins.field_readers import Reader, suggestion, table_at, unknown_keys, wrong_type
from holdfast.pins.pin import quoted
from holdfast.updates.roles import PROFILES, ROLES, RoleRule

__all__ = ["RepositorySettings", "settings_from_document", "settings_text"]

FORMAT = 1
MAX_KEYS = 32  # of a role; more people than that do not meet
MAX_DAYS = 3650  # ten years
_CARD_FIX = 'write how many, or the cards: ["cards/alice.card.json"]'
_HEAD = """\
# How this repository is signed. It is served with everything else: nothing secret belongs here.
format = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """How a repository is to be signed.

    Attributes:
        roles: The rule of each role.
        cards: The files with the key cards of a role, as they are named; none for a role whose keys
            are made.
    """

    roles: Mapping[str, RoleRule]
    cards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def settings_from_document(
    document: Mapping[str, object], *, source: str | None = None
) -> RepositorySettings:
    """Make settings from decoded TOML.

    Args:
        document: Plain data: tables, lists, text and numbers.
        source: The file the document comes from, for the error.

    Raises:
        PolicyError: At least one mistake; all of them are in its problems.
    """
    problems: list[Problem] = []
    unknown_keys(document, ("format", "profile", "role"), "", problems)
    if document.get("format") != FORMAT or type(document["format"]) is not int:
        fix = f"write format = {FORMAT}; a higher number needs a newer Holdfast"
        problems.append(Problem("format", "this format of the settings is not known", fix))
    defaults = _defaults(document.get("profile"), problems)
    tables = table_at(document.get("role", {}), "role", problems) or {}
    meant = unknown_keys(tables, ROLES, "role", problems)
    roles: dict[str, RoleRule] = {}
    cards: dict[str, tuple[str, ...]] = {}
    for role in ROLES:
        if role in meant:
            continue
        rule, listed = _role(tables.get(role, {}), f"role.{role}", defaults.get(role), problems)
        if rule is not None:
            roles[role] = rule
        if listed:
            cards[role] = listed
    if problems:
        raise PolicyError(problems, source=source)
    return RepositorySettings(roles=roles, cards=cards)


def settings_text(rules: Mapping[str, RoleRule]) -> str:
    """Write the file for rules whose keys are made."""
    tables = (
        f"\n[role.{role}]\nthreshold = {rule.threshold}\nkeys = {rule.keys}\ndays = {rule.days}\n"
        for role, rule in rules.items()
    )
    return _HEAD + "".join(tables)


def _defaults(profile: object, problems: list[Problem]) -> Mapping[str, RoleRule]:
    """Return the rules for what is left out; none without a profile."""
    if profile is None:
        return {}
    fix = f"write {' or '.join(PROFILES)}, in quotes"
    if not isinstance(profile, str):
        problems.append(wrong_type(profile, "profile", "text", fix))
    elif profile not in PROFILES:
        meant = suggestion(profile, PROFILES)
        fix = f'did you mean "{meant}"?' if meant else fix
        problems.append(Problem("profile", f"{quoted(profile)} is not known here", fix))
    else:
        return PROFILES[profile]
    return PROFILES["saas"]  # a stand-in, so that nothing is said to be missing


def _role(
    value: object, place: str, default: RoleRule | None, problems: list[Problem]
) -> tuple[RoleRule | None, tuple[str, ...]]:
    """Read one table: the rule, and the cards that it lists."""
    table = table_at(value, place, problems)
    if table is None:
        return None, ()
    meant = unknown_keys(table, _READERS, place, problems)
    fields: dict[str, Any] = {} if default is None else default._asdict()
    for key, read in _READERS.items():
        if key in table:
            fields[key] = read(table[key], f"{place}.{key}", problems)
        elif default is None and key not in meant:
            fix = f'write it, or profile = "{next(iter(PROFILES))}" at the top'
            problems.append(Problem(f"{place}.{key}", "the key is missing", fix))
    listed = fields.get("keys")
    cards = listed if isinstance(listed, tuple) else ()
    if cards:
        fields["keys"] = len(cards)
    if len(fields) < len(_READERS) or None in fields.values():
        return None, ()
    rule = RoleRule(**fields)
    if rule.threshold > rule.keys:
        words = f"of {rule.keys} keys, {rule.threshold} never sign"
        fix = f"write a number up to {rule.keys}, or more keys"
        problems.append(Problem(f"{place}.threshold", words, fix))
    return rule, cards


def _number(highest: int) -> Reader[int]:
    def read(value: object, place: str, problems: list[Problem]) -> int | None:
        fix = f"write a whole number from 1 to {highest}"
        if type(value) is not int:
            problems.append(wrong_type(value, place, "a whole number", fix))
        elif not 1 <= value <= highest:
            problems.append(Problem(place, f"{value} is out of range", fix))
        else:
            return value
        return None

    return read


def _keys(value: object, place: str, problems: list[Problem]) -> int | tuple[str, ...] | None:
    """Read how many keys are made, or which cards there are."""
    if not isinstance(value, list):
        return _number(MAX_KEYS)(value, place, problems)
    if not 1 <= len(value) <= MAX_KEYS:
        problems.append(Problem(place, f"it lists {len(value)} cards", _CARD_FIX))
        return None
    for index, card in enumerate(value):
        if not isinstance(card, str):
            problems.append(wrong_type(card, f"{place}[{index}]", "a file", _CARD_FIX))
        elif not card or not card.isprintable():
            problems.append(
                Problem(f"{place}[{index}]", f"{quoted(card)} names no file", _CARD_FIX)
            )
    return tuple(map(str, value))


_READERS: dict[str, Reader[Any]] = {
    "threshold": _number(MAX_KEYS),
    "keys": _keys,
    "days": _number(MAX_DAYS),
}
