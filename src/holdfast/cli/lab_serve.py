"""`holdfast lab serve`: keep rogue servers up, for a phone or a device on the bench."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from holdfast.cli.lab_options import (
    attack_named,
    bind_option,
    port_option,
    prepare_output,
    print_scorecard,
)
from holdfast.cli.options import format_option
from holdfast.cli.output import Format, say
from holdfast.errors import HoldfastError
from holdfast.lab.attack import Attack, attacks
from holdfast.lab.bench import Bench
from holdfast.lab.evidence import Evidence
from holdfast.lab.judgment import Outcome, Result
from holdfast.lab.relay import Relay
from holdfast.lab.scorecard import Scorecard
from holdfast.lab.stage import Stage
from holdfast.pins.host_pattern import canonical_host

_LONGEST_STEP = 86400  # seconds
_LOOK_AROUND = 0.2  # seconds until a signal is seen that came at a bad moment


class _OverError(Exception):
    """Whoever runs the lab has seen enough."""


@click.command("serve")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All attacks, one after the other.")
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    help="The name that the device connects to, which has to lead here.",
)
@bind_option
@port_option
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=_LONGEST_STEP),
    help="Go on after this time, instead of at Enter.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write what the device has to know; a temporary folder by default.",
)
@format_option(Format.SARIF, Format.JUNIT, Format.HTML)
def command(
    *,
    ids: tuple[str, ...],
    every: bool,
    host: str,
    bind: str,
    port: int,
    seconds: float | None,
    folder: Path | None,
    output_format: Format,
) -> int:
    """Serve attacks, one after the other, for a client that cannot be started from here.

    First comes an honest server, which the device has to accept, then each attack, all on the same
    address and port. Enter goes on to the next one, Ctrl-C ends it. What came is judged like in
    `lab run`; the exit codes are the same.
    """
    chosen = _chosen(ids, every=every)
    prepare_output(output_format)
    began = datetime.now(UTC)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-lab-")))
        folder.mkdir(parents=True, exist_ok=True)
        relay = stack.enter_context(Relay(address=bind, port=port))
        bench = Bench(Stage.new(canonical_host(host)), relay, folder)
        say(f"listening on {relay.address}, port {relay.port}")
        say(f"for the device: {folder / 'anchors.pem'} to trust, {folder / 'pins.toml'} to pin")
        results = _serve(bench, chosen, partial(_wait, seconds))
    evidence = Evidence.gather((), (), {}, began)
    scorecard = Scorecard(("lab", "serve", *(attack.id for attack in chosen)), results, evidence)
    print_scorecard(scorecard, evidence, output_format)
    return scorecard.exit_code


def _chosen(ids: tuple[str, ...], *, every: bool) -> tuple[Attack, ...]:
    if every == bool(ids):
        raise HoldfastError(
            "which attacks are to be served?", hint="name their ids, or say --all; not both"
        )
    return attacks() if every else tuple(map(attack_named, ids))


def _serve(
    bench: Bench, chosen: tuple[Attack, ...], wait: Callable[[str], None]
) -> tuple[Result, ...]:
    """Step through the attacks until the last one or until it is over."""
    results: list[Result] = []
    refused: dict[object, Result | None] = {}
    # As a service would be stopped; Ctrl-C comes as KeyboardInterrupt by itself.
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt, _OverError):
        for number, attack in enumerate(chosen, 1):
            if reason := bench.why_not(attack):
                say(f"attack {number} of {len(chosen)}: {attack.id}: {reason}")
                results.append(Result(attack=attack, outcome=Outcome.NOT_APPLICABLE, detail=reason))
                continue
            if attack.control not in refused:
                text = f"honest server: {bench.url(attack)}, which has to be accepted"
                refused[attack.control] = bench.control(attack, partial(wait, text))
            url = bench.url(attack, attacked=True)
            text = f"attack {number} of {len(chosen)}: {url}, {attack.id}: {attack.title}"
            result = bench.attack(attack, partial(wait, text))
            result = _with_control(result, refused[attack.control])
            say(f"{result.outcome}: {result.detail}")
            results.append(result)
    return tuple(results)


def _with_control(result: Result, control: Result | None) -> Result:
    """A catch by a client that did not accept the honest server is none."""
    if control is None or result.outcome is not Outcome.CAUGHT:
        return result
    return replace(control, attack=result.attack)


def _wait(seconds: float | None, served: str) -> None:
    """Say what is served, now that it is, and wait for Enter, or for so long."""
    say(served)
    if seconds is not None:
        time.sleep(seconds)
    elif not sys.stdin.readline():  # nobody is there to press it: until a signal
        # Not signal.pause(), which waits for another one if the first comes right before it.
        while True:
            time.sleep(_LOOK_AROUND)


def _end(_signal: int, _frame: object) -> None:
    raise _OverError
