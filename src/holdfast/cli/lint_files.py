"""Which files lint looks at, and what it finds in one: a policy, or a file of another platform.

1. In a folder only files are looked at that are recognized, within limits on number and size, and
   no link is followed.
2. A file that is recognized and cannot be read is a finding, never passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.project_file import read_limited
from holdfast.errors import HoldfastError, PolicyError, Problem
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint import lint, problems_as_findings
from holdfast.formats.lint_platform import Circumstances, platform_findings
from holdfast.formats.lint_text import UNUSABLE
from holdfast.formats.registry import Format, Reading, beside, format_named, recognized
from holdfast.pins.policy import Policy

MOST_FILES = 20_000
MOST_FINDINGS = 5_000  # of one file of another platform
_HEAD = 1024 * 1024  # bytes, by which a file is recognized
_POLICY_MARK = b"\n[holdfast]"
# The suffixes of files that may be meant, where not even their beginning can be read.
_TYPICAL = frozenset([".json", ".plist", ".toml", ".xml", ".yaml", ".yml"])
# What tells of pins in any text: prose, and code in languages that no format is about.
_NEITHER = frozenset(
    [
        ".md",
        ".rst",
        ".html",
        ".htm",
        ".py",
        ".pyi",
        ".go",
        ".rs",
        ".js",
        ".ts",
        ".m",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".rb",
        ".log",
        ".patch",
        ".diff",
    ]
)
# Code in languages that one format is about: what else tells of pins in it is not that format's.
_ONLY = {".swift": "alamofire"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What was found in one file.

    Attributes:
        file: The file.
        findings: What is to be said against it.
        is_usable: Whether it can be used at all.
        policy: What it is, if it is a policy.
        platform: The format that it is in, if it is a platform's file.
        reading: What that says.
    """

    file: Path
    findings: tuple[Finding, ...] = ()
    is_usable: bool = True
    policy: Policy | None = None
    platform: Format | None = None
    reading: Reading | None = None

    def with_findings(self, more: Sequence[Finding]) -> Linted:
        """Return the same with more findings, which are about this file."""
        named = (replace(finding, file=str(self.file)) for finding in more)
        return replace(self, findings=(*self.findings, *named))


def files_in(given: Sequence[Path], *, with_format: bool = False) -> Iterator[Path]:
    """Yield the files that are named, and those in folders that may be meant.

    Args:
        given: Files and folders.
        with_format: Whether their format is given too, which a folder's files do not share.

    Raises:
        HoldfastError: A folder holds too many files, or none that is recognized.
    """
    for path in given:
        if not path.is_dir():
            yield path
            continue
        if with_format:
            raise HoldfastError(f"{path} is a folder", hint="--from is for files that are named")
        found = [file for file in _walk(path) if _is_meant(file)]
        if not found:
            raise HoldfastError(
                f"{path} holds neither a policy nor a file in a format that is known",
                hint="name the file, and its format with --from",
            )
        yield from found


def _walk(folder: Path) -> Iterator[Path]:
    number = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            number += 1
            if number > MOST_FILES:
                raise HoldfastError(
                    f"{folder} holds more than {MOST_FILES} files", hint="name a smaller folder"
                )
            file = Path(parent, name)
            if file.is_file() and not file.is_symlink():
                yield file


def _is_meant(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in _NEITHER:
        return False
    try:
        with file.open("rb") as opened:
            data = opened.read(_HEAD)
    except OSError:
        return suffix in _TYPICAL
    if b"\0" in data and not data.startswith(b"bplist00"):
        return False
    if suffix in _ONLY:
        return format_named(_ONLY[suffix]).recognizes(str(file), data)
    if _is_policy(file, data):
        return True
    return suffix != ".toml" and recognized(str(file), data) is not None


def _is_policy(file: Path, data: bytes) -> bool:
    """Tell whether a file is a policy of ours, whatever else may be named in its comments."""
    if file.suffix.lower() == ".json":
        return b'"holdfast"' in data
    return _POLICY_MARK in b"\n" + data


def lint_file(file: Path, format_name: str | None, known: Circumstances) -> Linted:
    """Look for mistakes in one file.

    Args:
        file: The file.
        format_name: Its format; None where it is to be recognized.
        known: What is known beside it.

    Raises:
        HoldfastError: A library for its format is missing.
    """
    try:
        platform, data = _platform_of(file, format_name)
        if platform is None:
            linted = _lint_policy(file, known)
        else:
            linted = _lint_platform(file, platform, data, known)
            others = () if format_name else beside(platform, str(file), data)
            for other in (_lint_platform(file, one, data, known) for one in others):
                usable = linted.is_usable and other.is_usable
                linted = replace(linted.with_findings(other.findings), is_usable=usable)
    except PolicyError as error:
        linted = Linted(file=file, is_usable=False).with_findings(problems_as_findings(error))
    return linted


def _platform_of(file: Path, format_name: str | None) -> tuple[Format | None, bytes]:
    """Return the format of a file and what it holds; None for a policy."""
    if format_name is None and (file.suffix.lower() == ".toml" or not file.is_file()):
        return None, b""
    try:
        data = read_limited(file)
    except HoldfastError as error:
        raise PolicyError([Problem.of("", error, "is it the right one?")]) from None
    if format_name is not None:
        return format_named(format_name), data
    if _is_policy(file, data):
        return None, data
    return recognized(str(file), data), data


def _lint_policy(file: Path, known: Circumstances) -> Linted:
    policy = load_policy(file)
    found = lint(
        policy,
        now=known.now,
        public_suffix=known.public_suffix,
        public_roots=known.public_roots,
        clients_live_until=known.clients_live_until,
    )
    return Linted(file=file, policy=policy).with_findings(found)


def _lint_platform(file: Path, platform: Format, data: bytes, known: Circumstances) -> Linted:
    reading = platform.scan(data)
    found = _not_too_many(list(platform_findings(reading, platform.semantics, known)))
    is_usable = not reading.problems and all(one.rule != UNUSABLE.id for one in found)
    linted = Linted(file=file, platform=platform, reading=reading, is_usable=is_usable)
    return linted.with_findings(found)


def _not_too_many(findings: list[Finding]) -> list[Finding]:
    """Cut what nobody reads and takes minutes to print; that it was cut is a finding too."""
    if len(findings) <= MOST_FINDINGS:
        return findings
    gravity = list(Severity)
    findings.sort(key=lambda finding: gravity.index(finding.severity))
    reason = f"there are {len(findings)} findings; only {MOST_FINDINGS} of them are told"
    return [UNUSABLE.finding("", reason, "is it the right file?"), *findings[:MOST_FINDINGS]]
