"""`holdfast lab run`: run a client against each attack, or behind a proxy that attacks it."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from datetime import UTC, datetime
from errno import EIO
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.cli.lab_options import (
    attack_named,
    bind_option,
    port_option,
    prepare_output,
    print_scorecard,
    words,
)
from holdfast.cli.options import anchors_option, format_option, path_option
from holdfast.cli.output import Format, progress, say
from holdfast.cli.trust import public_roots
from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, Transport, attacks
from holdfast.lab.evidence import Evidence, sha256_of
from holdfast.lab.proxy import ConnectProxy
from holdfast.lab.runner import DEFAULT_JOBS, DEFAULT_TIMEOUT, Runner
from holdfast.lab.scorecard import Scorecard
from holdfast.lab.shipped_client import ShippedClientRunner, presented_by
from holdfast.lab.stage import LOOPBACK, Stage
from holdfast.pins.endpoint import Endpoint

_TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
_LONGEST_RUN = 3600  # seconds
_MOST_JOBS = 64


def _as_attacks(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[Attack, ...]:
    return attacks() if value is None else tuple(attack_named(name) for name in words(value))


def _as_transports(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[Transport, ...]:
    names = words(value)
    if unknown := sorted(set(names) - set(_TRANSPORTS)):
        known = ", ".join(_TRANSPORTS)
        raise click.BadParameter(f"{unknown[0]!r} is none of {known}", context, parameter)
    return tuple(transport for transport in _TRANSPORTS if transport in names)


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("client", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--only", "chosen", metavar="ID,...", callback=_as_attacks, help="Only these attacks."
)
@click.option(
    "--transport",
    "transports",
    metavar="NAME,...",
    default="https",
    show_default=True,
    callback=_as_transports,
    help=f"What the client speaks: {', '.join(_TRANSPORTS)}.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=_LONGEST_RUN),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long one run of the client may take.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    default=DEFAULT_JOBS,
    show_default=True,
    help="How many attacks to run side by side; one behind --proxy.",
)
@anchors_option("Certificates that the client is to trust beside those of the lab.")
@click.option("--proxy", is_flag=True, help="Attack a shipped client, which knows host and pins.")
@click.option("--host", metavar="HOST[:PORT]", help="With --proxy: the host that it connects to.")
@click.option(
    "--upstream",
    metavar="HOST:PORT",
    help="With --proxy: where the real server is, if not where the name leads.",
)
@bind_option
@port_option
@path_option("--policy", help="With --proxy: the policy that it was shipped with, as evidence.")
@format_option(Format.SARIF, Format.JUNIT, Format.HTML)
def command(  # noqa: PLR0913 (keywords, each an option of its own)
    *,
    client: tuple[str, ...],
    chosen: tuple[Attack, ...],
    transports: tuple[Transport, ...],
    timeout: float,
    jobs: int,
    anchors: Path | None,
    output_format: Format,
    proxy: bool,
    policy: Path | None,
    **way: Any,  # noqa: ANN401 (--host, --upstream, --bind and --port)
) -> int:
    """Run COMMAND against each attack on loopback, and judge it by what the servers saw.

    COMMAND makes one request to {url} and ends. It also gets {host}, {port}, {anchors} (what to
    trust: the attacker's CA is among them), {pin}, {backup}, {cert_pin}, {policy} (a pins.toml)
    and {client_certificate}, or the same as variables: HOLDFAST_LAB_URL and so on. Before each
    attack an honest server has to be accepted.

    A client that was shipped knows its host and its pins. With --proxy it is attacked on the way:
    it gets {proxy} and the usual variables for a proxy, and has to accept the real server through
    it first.

    Exit codes: 0 each attack that applies was caught; 1 one was not, or an honest server was
    refused; 3 no attack applies.
    """
    prepare_output(output_format)
    began = datetime.now(UTC)
    policies = {} if policy is None else {str(policy): sha256_of(policy)}
    with ExitStack() as stack:
        runner: Runner
        if proxy:
            shipped = _Shipped(client, anchors=anchors, timeout=timeout, **way)
            runner, jobs = stack.enter_context(shipped.runner(stack)), 1
        else:
            _refuse_without_proxy(policy=policy, **way)
            runner = stack.enter_context(
                Runner(
                    client,
                    timeout=timeout,
                    transports=transports,
                    anchors_pem="" if anchors is None else _pem(load_anchors(anchors)),
                )
            )
        advance = stack.enter_context(progress(len(chosen), "attacks"))
        results = runner.run_all(chosen, advance, jobs=jobs)
    if not proxy:
        policies = {attack.id: runner.policy_sha256(attack) for attack in chosen}
    evidence = Evidence.gather(client, _given(click.get_current_context()), policies, began)
    scorecard = Scorecard(client, results, evidence)
    print_scorecard(scorecard, evidence, output_format)
    return scorecard.exit_code


class _Shipped:
    """A client that was shipped, and the way to it."""

    def __init__(
        self,
        client: tuple[str, ...],
        *,
        anchors: Path | None,
        timeout: float,
        host: str | None,
        upstream: str | None,
        bind: str,
        port: int,
    ) -> None:
        if host is None:
            raise HoldfastError(
                "--proxy needs to know whom the client connects to",
                hint="name the host: --proxy --host api.example.com",
            )
        self._client, self._timeout = client, timeout
        self._url = Endpoint.parse(host)
        self._upstream = Endpoint.parse(upstream) if upstream else None
        self._anchors = load_anchors(anchors) if anchors else public_roots()
        self._bind, self._port = bind, port

    def runner(self, stack: ExitStack) -> ShippedClientRunner:
        """Look at the real server, open the proxy, and say what to set on a device."""
        real = self._upstream or self._url
        host = self._url.host
        try:
            presented = presented_by((real.host, real.port), host, self._timeout)
        except OSError as error:
            text = f"{real.host}:{real.port}: the real server cannot be reached: {error}"
            raise OSError(error.errno or EIO, text) from error
        stage = Stage.around(host, presented)
        proxy = stack.enter_context(
            ConnectProxy(host, stage.rogue.pem, address=self._bind, port=self._port)
        )
        say(f"proxy: {proxy.url}, which attacks what goes to {host}")
        say(f"on a device: set {proxy.address}, port {proxy.port}, as its proxy by hand, then open")
        say(f"{proxy.url}/ on it and trust the certificate that comes, for as long as this takes")
        return ShippedClientRunner(
            self._client,
            proxy,
            stage,
            port=self._url.port,
            upstream=(real.host, real.port) if self._upstream else None,
            anchors_pem=_pem(self._anchors),
            timeout=self._timeout,
        )


def _refuse_without_proxy(
    *, host: str | None, upstream: str | None, bind: str, port: int, policy: Path | None
) -> None:
    given = {
        "--host": host,
        "--upstream": upstream,
        "--bind": bind != LOOPBACK,
        "--port": port,
        "--policy": policy,
    }
    for option, value in given.items():
        if value:
            raise HoldfastError(
                f"{option} is for a client that was shipped, behind --proxy",
                hint="without --proxy the lab chooses host, port and policy, and tells the client",
            )


def _pem(certificates: tuple[bytes, ...]) -> str:
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates))


def _given(context: click.Context) -> list[str]:
    """Return the options that were given, as they are written on a command line."""
    given = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if isinstance(parameter, click.Option) and source is ParameterSource.COMMANDLINE:
            value = "" if parameter.is_flag else f"={_as_word(context.params[name])}"
            given.append(parameter.opts[0] + value)
    return given


def _as_word(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(one.id if isinstance(one, Attack) else str(one) for one in value)
    return str(value)
