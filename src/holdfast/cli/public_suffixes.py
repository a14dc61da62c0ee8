"""The names below which strangers register theirs, from the list that browsers use."""

from __future__ import annotations

from functools import cache

from holdfast.pins.host_pattern import is_ip_literal


def is_public_suffix(host: str) -> bool:
    """Tell whether a canonical host is a public suffix, such as co.uk."""
    return not is_ip_literal(host) and bool(_public_suffixes().is_public(host))


@cache
def _public_suffixes():  # type: ignore[no-untyped-def]  # noqa: ANN202 (it ships no types)
    from publicsuffixlist import PublicSuffixList

    # Only suffixes that are listed: a name like "svc.internal" belongs to whoever runs the network.
    return PublicSuffixList(accept_unknown=False)
