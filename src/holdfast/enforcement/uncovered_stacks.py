"""TLS stacks that process-wide enforcement cannot cover, noticed when they are imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import UncoveredStackError
from holdfast.facts.tls_stacks import TLS_STACKS, TlsStack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["StackWatch", "TellOfStack"]


class TellOfStack(Protocol):
    """Told of each stack that is seen."""

    def __call__(self, stack: TlsStack, *, refused: bool) -> object:
        """Take note."""
        ...


class StackWatch:
    """A finder that finds nothing: it sees what is about to be imported."""

    def __init__(self, refuses: Callable[[], bool], tell: TellOfStack) -> None:
        """Watch nothing yet.

        Args:
            refuses: Whether such a stack may not be imported now.
            tell: Told of each stack, once or more.
        """
        self._refuses = refuses
        self._tell = tell

    def begin(self) -> None:
        """Tell of what is there already, which cannot be refused any more; watch from here on."""
        for module, stack in TLS_STACKS.items():
            if module in sys.modules:
                self._tell(stack, refused=False)
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        name: str,
        _path: Sequence[str] | None = None,
        _target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Leave finding to others, unless the module must not be imported.

        Raises:
            UncoveredStackError: It must not.
        """
        stack = TLS_STACKS.get(name)
        if stack is None:
            return None
        refused = self._refuses()
        self._tell(stack, refused=refused)
        if refused:
            raise UncoveredStackError(
                f"{stack.name} makes TLS connections that cannot be pinned here, "
                "and the policy refuses unlisted hosts",
                hint=stack.advice,
            )
        return None
