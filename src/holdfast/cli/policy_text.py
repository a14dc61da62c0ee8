"""A policy as the text of a `pins.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.certificates.pem import certificate_text
from holdfast.pins.policy_writer import policy_to_document

if TYPE_CHECKING:
    from tomlkit.items import Table

    from holdfast.pins.policy import Policy

_TIMES = ("expires", "report_only_until")


def policy_as_toml(policy: Policy) -> str:
    """Return the text of which `load_policy` makes an equal policy; anchors stand in it as PEM."""
    import tomlkit

    document: dict[str, dict[str, Any]] = policy_to_document(policy, write_anchor=certificate_text)
    text = tomlkit.document()
    text.add("holdfast", _table(document["holdfast"]))
    sets = tomlkit.table(is_super_table=True)
    for name, pin_set in document["pin_set"].items():
        sets.add(name, _table(pin_set))
    if document["pin_set"]:
        text.add("pin_set", sets)
    return text.as_string()


def _table(fields: Mapping[str, Any]) -> Table:
    import tomlkit

    table = tomlkit.table()
    for key, value in fields.items():
        if key in _TIMES and isinstance(value, str):
            value = datetime.fromisoformat(value)  # noqa: PLW2901  TOML has times of its own
        if isinstance(value, list):
            array = tomlkit.array()
            array.extend(value)
            value = array.multiline(multiline=len(value) > 1)  # noqa: PLW2901
        table.add(key, value)
    table.add(tomlkit.nl())
    return table
