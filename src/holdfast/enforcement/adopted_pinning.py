"""The pinning of a context that somebody else made and keeps, while enforcement is process-wide.

Such a context is as its owner wants it. Its settings are not touched but for renegotiation; what a
listed host needs and the context does not do is done for the one connection, or refuses it.

A context that was there before enforcement may have settings that cannot be asked for (application
protocols, groups, a certificate). It keeps them to public hosts; to hosts of pins-only sets, whose
connections another context has to make in its place, it is refused.
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
import threading
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.client_certificate import CertificateHolder
from holdfast.enforcement.context_pinning import (
    Admission,
    ContextPinning,
    Enforcement,
    canonical_name,
)
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.genuine_context import CContext
from holdfast.errors import HostNameError, PinnedContextError
from holdfast.pins.pin_set import PinSet, Trust
from holdfast.pins.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AdoptedPinning"]

_NO_NAME = "(no name)"
_KEY_LOG = "SSLKEYLOGFILE"
_log = logging.getLogger("holdfast.enforcement")
_verify_mode_of = CContext.verify_mode.__get__
_checks_hostname = CContext.check_hostname.__get__
_set_checks_hostname = CContext.check_hostname.__set__
_key_log_of = CContext.keylog_filename.__get__
_set_key_log = CContext.keylog_filename.__set__

# Held while one connection is made, never while it talks. A signal handler or a finalizer that
# connects may come while its own thread holds it.
_SWITCHING = threading.RLock()


def _start_anew() -> None:
    """Begin with a free lock in a forked child, where its holder does not exist."""
    global _SWITCHING  # noqa: PLW0603  a lock cannot be set free by others
    _SWITCHING = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


class AdoptedPinning(ContextPinning):
    """The pinning of a stock context."""

    def __init__(
        self,
        enforcement: Enforcement,
        *,
        settings_are_known: bool,
        observes: bool = False,
        holder: CertificateHolder | None = None,
    ) -> None:
        """Adopt a context.

        Args:
            enforcement: What judges, for the whole process.
            settings_are_known: Whether the context was adopted when it was made.
            observes: Whether nothing is to be refused.
            holder: What has the certificate that was kept back while it was pinned before.
        """
        super().__init__(enforcement)
        self._settings_are_known = settings_are_known
        self._observes = observes
        self._switches_name_check = False
        if holder is not None:
            self.certificate_holder = holder
            self.trusts.set_for_private("holder", holder.listen)

    def passes(self, server_hostname: str | bytes | None, *, server_side: bool) -> bool:
        """Let servers pass, and what has no name if nothing is to be refused.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: There is none.
        """
        if server_side:
            return True
        try:
            canonical_name(server_hostname)
        except (HostNameError, PinnedContextError):
            if self._observes:
                return True
            self._tell_of_no_name()
            raise
        return False

    def note_passed(self, *, server_side: bool) -> None:
        """Count what passes without a name."""
        if not server_side:
            self._tell_of_no_name()

    def name_for(self, server_hostname: str | bytes | None) -> str:
        """Return the canonical name of a listed host, and others as they were written."""
        host = canonical_name(server_hostname)
        if host == server_hostname or not isinstance(server_hostname, str):
            return host
        pin_set, _ = self.enforcement.judge.rules_for(host)
        return server_hostname if pin_set is None else host

    def must_gate(self, host: str | None) -> bool:
        """Let other classes of connections be where no path could be refused."""
        if self._observes:
            return False
        return not host or not self.enforcement.judge.lets_everything_pass(canonical_name(host))

    def note_ungated(self, host: str) -> None:
        """Count what passes over another class of connections."""
        self._tell(
            Verdict(
                outcome=Outcome.NOT_PINNED,
                allowed=True,
                violation=False,
                host=host,
                reason="the application makes its connections with a class of its own",
            )
        )

    def admit(
        self, context: ssl.SSLContext, server_hostname: str | bytes | None, *, blocking: bool
    ) -> Admission:
        """Say how a connection is made, as `ContextPinning.admit` does.

        Raises:
            HostNameError: The name is none.
            PinnedContextError: A client's certificate would leave before the check.
            PinViolationError: The host is listed and the context does not verify it, or cannot
                reach it as its set asks; or the policy source failed.
        """
        host = canonical_name(server_hostname)
        pin_set, refuses = self.enforcement.judge.rules_for(host)
        self._refuse_early_certificate(host, blocking=blocking and refuses)
        is_verified = _verify_mode_of(context) != int(ssl.CERT_NONE)
        if pin_set is not None:
            if pin_set.trust is Trust.PINS_ONLY:
                if not self._settings_are_known:
                    reason = (
                        "the context was made before enforcement began, so that its settings "
                        "are not known"
                    )
                    self._refuse(host, pin_set, reason, "begin enforcement earlier")
            elif not is_verified:
                reason = "the application switched verification off for this connection"
                self._refuse(host, pin_set, reason, "remove verify=False or CERT_NONE")
            CContext.options.__set__(
                context, CContext.options.__get__(context) | int(ssl.OP_NO_RENEGOTIATION)
            )
        elif not (is_verified and self._checks_names(context)):
            return Admission(self, context, host, None, context, is_verified=is_verified)
        return self._admission(context, host, pin_set)

    def confirm(self, admission: Admission, sslobj: Any) -> None:
        """Check that OpenSSL's object is what was admitted, as `ContextPinning.confirm` does."""
        if admission.trust is not Trust.PINS_ONLY:
            is_verified = _verify_mode_of(admission.context) != int(ssl.CERT_NONE)
            if admission.is_verified and not is_verified:
                raise PinnedContextError(f"{admission.host}: verification was switched off")
        self._confirm_birth(admission, sslobj)

    def make(
        self,
        admission: Admission,
        create: Callable[[ssl.SSLContext, Any], Any],
        session: Any,
    ) -> Any:
        """Have OpenSSL's object made, with the name check on where the host is listed.

        Some libraries switch it off to check the name themselves, after the handshake. OpenSSL
        copies it when the object is made. An unlisted host whose name the context checks gets the
        check in any case: the policy may list it later.
        """
        if admission.trust is Trust.PINS_ONLY:
            return super().make(admission, create, session)
        context = admission.context
        if admission.trust is not None and self._checks_names(context):
            return create(context, session)
        self._switches_name_check = True
        with _SWITCHING:  # also for unlisted hosts, which would get the check meanwhile
            if admission.trust is None or _checks_hostname(context):
                return create(context, session)
            _set_checks_hostname(context, True)  # noqa: FBT003
            try:
                return create(context, session)
            finally:
                _set_checks_hostname(context, False)  # noqa: FBT003

    def _checks_names(self, context: ssl.SSLContext) -> bool:
        """Tell whether the application has the name check on."""
        checks = bool(_checks_hostname(context))
        if not self._switches_name_check:  # asked second: who switches says so before
            return checks
        with _SWITCHING:
            return bool(_checks_hostname(context))

    def load_cert_chain(self, context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        """Load a certificate, kept back where this was made while enforcement was on.

        It stays in the twin when enforcement ends, since its file may be gone, and is shown from
        there: also to connections without the gate, which are let pass.
        """
        if self.certificate_holder is None and not (
            self._settings_are_known and context.protocol == ssl.PROTOCOL_TLS_CLIENT
        ):
            self.shows_certificate_early = True
            CContext.load_cert_chain(context, *args, **kwargs)
            return
        super().load_cert_chain(context, *args, **kwargs)
        if self.certificate_holder is not None:
            self.certificate_holder.shows_to_ungated = True
            context.__dict__["_holdfast_certificate"] = self.certificate_holder

    def takes_key_log(self, name: object) -> bool:
        """Take a file that the application names, and none that the environment does.

        `create_default_context()` and urllib3 hand SSLKEYLOGFILE on by themselves: whoever sets
        that variable could read along.
        """
        value = os.environ.get(_KEY_LOG)
        if self._observes or not value or name not in {value, os.path.expandvars(value)}:
            return True
        _tell_of_key_log()
        return False

    def end_key_log(self, context: ssl.SSLContext) -> None:
        """End what a context writes already because the environment said so."""
        name: str | None = _key_log_of(context)
        if name is not None and not self.takes_key_log(name):
            _set_key_log(context, None)

    def _refuse(self, host: str, pin_set: PinSet, reason: str, hint: str) -> None:
        verdict = Verdict(
            outcome=Outcome.UNDECIDABLE,
            allowed=False,
            violation=True,
            host=host,
            mode=pin_set.mode,
            pin_set=pin_set,
            reason=reason,
            hint=hint,
        )
        violation = self.enforcement.judge.violation(verdict, (), None)
        self.enforcement.judge.report(violation)
        self._tell(verdict)
        raise PinViolationError(violation)

    def _tell_of_no_name(self) -> None:
        reason = "the connection has no name by which it could be judged"
        self._tell(
            Verdict(
                outcome=Outcome.UNDECIDABLE,
                allowed=self._observes,
                violation=True,
                host=_NO_NAME,
                reason=reason,
            )
        )

    def _tell(self, verdict: Verdict) -> None:
        if self.enforcement.tally is not None:
            self.enforcement.tally(verdict)


@functools.cache  # so that it is said once
def _tell_of_key_log() -> None:
    _log.warning(
        "%s is not followed while pins are enforced: set keylog_filename of a context", _KEY_LOG
    )
