"""What begins anew in a forked child, where the threads of its parent do not exist."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

__all__ = ["begun_anew_in_child"]

_Object = TypeVar("_Object")


def begun_anew_in_child(begin: Callable[[_Object], object]) -> weakref.WeakSet[_Object]:
    """Return an empty set, whose members begin anew in each child that is forked from now on.

    Args:
        begin: Called in the child with each member that is alive.
    """
    alive: weakref.WeakSet[_Object] = weakref.WeakSet()

    def begin_all() -> None:
        for one in list(alive):
            begin(one)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin_all)
    return alive
