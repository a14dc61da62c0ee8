"""TLS stacks that process-wide enforcement cannot cover, noticed when they are imported."""

from __future__ import annotations

import sys
from importlib.abc import Loader
from typing import TYPE_CHECKING, NoReturn, Protocol

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
    """A finder that has others find: it sees what is about to be imported, and is there."""

    def __init__(self, refuses: Callable[[], bool], tell: TellOfStack) -> None:
        """Watch nothing yet.

        Args:
            refuses: Whether such a stack may not be imported now.
            tell: Told of each stack, once or more.
        """
        self._refuses = refuses
        self._tell = tell

    def begin(self) -> None:
        """Tell of what is there already, which cannot be refused any more; watch from here on.

        A stack that is optional to who imports it is always refused: then `ssl` is used.
        """
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
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return what others find, with a loader that refuses if it must not be imported.

        Who only asks whether the module is there gets an answer, and no error.
        """
        stack = TLS_STACKS.get(name)
        spec = None if stack is None else self._found_after(name, path, target)
        if stack is None or spec is None:
            return None
        refused = stack.optional or self._refuses()
        self._tell(stack, refused=refused)
        if refused:
            spec.loader = _Refusing(stack)
        return spec

    def _found_after(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        """Ask those that come after this one; who comes before has not found it."""
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None


class _Refusing(Loader):
    """Loads nothing."""

    def __init__(self, stack: TlsStack) -> None:
        self._stack = stack

    def create_module(self, spec: ModuleSpec) -> NoReturn:  # noqa: ARG002  the signature is importlib's
        raise UncoveredStackError(
            f"{self._stack.name} makes TLS connections that cannot be pinned here"
            + ("" if self._stack.optional else ", and the policy refuses unlisted hosts"),
            hint=self._stack.advice,
        )

    def exec_module(self, module: ModuleType) -> None:
        """Never called; importlib asks for it."""
