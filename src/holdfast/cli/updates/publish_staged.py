"""`holdfast updates publish --staged`: publish what people elsewhere have signed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from holdfast.cli.output import Format, print_json, print_lines
from holdfast.cli.updates.options import keys_in, request_file

# All that is asked beside the request; what else there is to publishing, it has settled.
_ASKED = {"folder", "keys", "passphrase_file", "staged", "output_format"}


def publish_staged(
    folder: Path,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    requests: tuple[Path, ...],
    output_format: Format,
) -> None:
    """Publish a request, or copies of it that were signed apart.

    Raises:
        UpdateError: It may not be published here, or signatures are missing. Nothing was published.
        PolicyError: It has a mistake.
    """
    from holdfast.updates.publisher import Publisher
    from holdfast.updates.staged_repository import read_request

    context = click.get_current_context()
    if request_file() is not None:
        raise click.UsageError("--staged is for `holdfast updates publish` itself", context)
    source = click.core.ParameterSource.COMMANDLINE
    for option in context.command.params:
        name = option.name or ""
        if name not in {*context.params} - _ASKED:
            continue
        if context.get_parameter_source(name) is source:
            words = f"the request has settled that: leave out {option.opts[0]}"
            raise click.UsageError(words, context)
    signed = Publisher.publish_requests(
        folder,
        [read_request(request) for request in requests],
        keys_in(keys, passphrase_file),
        datetime.now(UTC),
    )
    if output_format is Format.JSON:
        print_json({"signed": list(signed)})
        return
    print_lines(f"Published {', '.join(signed)}.")
