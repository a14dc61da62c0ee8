"""Enforcement for a whole process: each TLS connection that goes through `ssl`, whoever makes it.

For applications, never for libraries: it changes `ssl` for everything in the process.

The methods of a `PinningContext` are put into the stock context class, so that contexts which are
there already are reached too, and whoever holds the class. What puts another class under the name
`ssl.SSLContext` afterwards (truststore, gevent) builds on that one. A context that is pinned by
itself stays so.

Server sides pass. So does, under `unlisted = "allow"`, a host that no pattern covers.
"""

from __future__ import annotations

import logging
import ssl
import threading
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.adopted_pinning import AdoptedPinning
from holdfast.enforcement.context_pinning import Enforcement, adopt_with
from holdfast.enforcement.genuine_context import (
    BareContext,
    CContext,
    CPythonContext,
    GenuineContext,
)
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.local_exceptions import announce
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.pinned_connections import ClassHook, PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.pinned_methods import PinnedMethods
from holdfast.enforcement.request_check import RequestCheck
from holdfast.enforcement.standard_http import http_hooks
from holdfast.enforcement.uncovered_stacks import StackWatch, TellOfStack
from holdfast.enforcement.verified_path import PathReader
from holdfast.errors import PinnedContextError
from holdfast.findings.policy_in_force import in_force
from holdfast.pins.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.facts.tls_stacks import TlsStack
    from holdfast.pins.interfaces import PolicySource, ViolationSink
    from holdfast.pins.local_exception import LocalException
    from holdfast.pins.verdict import Verdict

__all__ = ["begin", "install", "uninstall"]

_HOOKS = {
    "sslsocket_class": ClassHook("sslsocket_class", PinnedSSLSocket),
    "sslobject_class": ClassHook("sslobject_class", PinnedSSLObject),
    **{
        name: PinnedMethods.__dict__[name]
        for name in (
            *("wrap_socket", "wrap_bio", "_wrap_socket", "_wrap_bio"),
            *("load_cert_chain", "set_ciphers", "set_alpn_protocols", "set_ecdh_curve"),
            "keylog_filename",
        )
    },
}
_log = logging.getLogger("holdfast.enforcement")


def install(
    source: PolicySource,
    *,
    sink: ViolationSink | None = None,
    exceptions: Iterable[LocalException] = (),
) -> None:
    """Pin every connection that this process makes with `ssl`. For applications, at their start.

    Contexts that exist already are pinned too, with two limits: they do not reach hosts of
    pins-only sets, and a client certificate that they have is shown as without pins, and not at all
    to hosts of private sets and local exceptions. Processes that this one forks are pinned, others
    that it starts are not: for those there is `holdfast run`.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        exceptions: Local exceptions, as for `PinningContext`.

    Raises:
        PinnedContextError: Enforcement is process-wide already.
        TypeError: The source is none.
    """
    if not isinstance(getattr(source, "current", lambda: None)(), Policy):
        raise TypeError("install() takes a policy: holdfast.load_policy(path) or a PolicySource")
    exceptions, now = tuple(exceptions), datetime.now(UTC)
    announce(exceptions, source, now)
    begin(source, LogSink() if sink is None else sink, exceptions=exceptions)
    _log.info("%s", in_force(source.current(), now))


def uninstall() -> None:
    """End what `install` began. What is not installed may be uninstalled.

    Open connections stay under the rules that they were made under.
    """
    _PROCESS.end()


def begin(
    source: PolicySource,
    sink: ViolationSink,
    *,
    exceptions: tuple[LocalException, ...] = (),
    tally: Callable[[Verdict], object] | None = None,
    on_stack: TellOfStack | None = None,
    observes: bool = False,
) -> None:
    """Begin process-wide enforcement.

    Args:
        source: The policy.
        sink: Where violations go.
        exceptions: Local exceptions.
        tally: Told of each verdict.
        on_stack: Told of TLS stacks that cannot be covered; without it, the log is.
        observes: Whether nothing is to be refused that has no verdict either.

    Raises:
        PinnedContextError: It is on already.
    """
    judge = HandshakeJudge(source, sink, exceptions=exceptions)
    _PROCESS.begin(
        Enforcement(judge, PathReader(), LiveConnections(source), tally),
        StackWatch(judge.refuses_unlisted, on_stack or _log_stack),
        observes=observes,
    )


def _log_stack(stack: TlsStack, *, refused: bool) -> None:
    if refused and stack.optional:
        _log.info("%s was not let in: ssl is used in its place", stack.name)
        return
    what = "was refused" if refused else "is not pinned"
    _log.warning("%s makes TLS connections past ssl, and %s: %s", stack.name, what, stack.advice)


class _ProcessWide:
    """Whether enforcement is process-wide, and which contexts it has come to."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._enforcement: Enforcement | None = None
        self._stacks: StackWatch | None = None
        self._observes = False
        # By identity: a subclass may have another idea of what is equal, or no hash.
        self._adopted: weakref.WeakValueDictionary[int, ssl.SSLContext] = (
            weakref.WeakValueDictionary()
        )
        self._stock: list[tuple[type, str, Any]] = []

    def begin(self, enforcement: Enforcement, stacks: StackWatch, *, observes: bool) -> None:
        with self._changing:
            if self._enforcement is not None:
                raise PinnedContextError(
                    "enforcement is process-wide already", hint="call holdfast.uninstall() first"
                )
            self._enforcement, self._stacks = enforcement, stacks
            self._observes = observes
            adopt_with(self._adopt)
            for owner in dict.fromkeys((CPythonContext, GenuineContext)):
                for name, hook in _HOOKS.items():
                    if owner is CPythonContext or name in owner.__dict__:
                        self._put(owner, name, hook)
            self._put(CPythonContext, "__new__", staticmethod(self._new))
            if not observes:
                for hook in http_hooks(RequestCheck(enforcement.judge)):
                    self._put(*hook)
            stacks.begin()

    def end(self) -> None:
        with self._changing:
            if self._enforcement is None:
                return
            self._enforcement = None
            if self._stacks is not None:
                self._stacks.end()
            adopt_with()
            while self._stock:
                owner, name, value = self._stock.pop()
                if value is _INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, value)
            for reference in self._adopted.valuerefs():
                if (context := reference()) is not None:
                    context.__dict__.pop("_holdfast_pinning", None)
            self._adopted.clear()

    def _put(self, owner: type, name: str, hook: Any) -> None:
        self._stock.append((owner, name, owner.__dict__.get(name, _INHERITED)))
        setattr(owner, name, hook)

    def _new(self, cls: type, *args: Any, **kwargs: Any) -> Any:
        context: Any = _stock_new(cls, *args, **kwargs)
        if not issubclass(cls, PinnedMethods):
            self._adopt(context, settings_are_known=True)
        return context

    def _adopt(
        self, context: ssl.SSLContext, *, settings_are_known: bool = False
    ) -> AdoptedPinning | None:
        enforcement = self._enforcement
        if (
            enforcement is None
            or isinstance(context, BareContext)
            or _protocol_of(context) == ssl.PROTOCOL_TLS_SERVER
        ):
            return None
        pinning = AdoptedPinning(
            enforcement,
            settings_are_known=settings_are_known,
            observes=self._observes,
            holder=context.__dict__.get("_holdfast_certificate"),
        )
        if not settings_are_known:
            pinning.end_key_log(context)
        # Of two threads that adopt it, one wins.
        adopted: AdoptedPinning = context.__dict__.setdefault("_holdfast_pinning", pinning)
        self._adopted[id(context)] = context
        # It ended meanwhile and did not see this context: the next must not find the old rules.
        if self._enforcement is not enforcement:
            context.__dict__.pop("_holdfast_pinning", None)
        return adopted


_protocol_of = CContext.protocol.__get__  # truststore's own asks a context that is not there yet
_INHERITED = object()
_stock_new = CPythonContext.__new__
_PROCESS = _ProcessWide()
