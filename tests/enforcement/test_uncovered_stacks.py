import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.enforcement.uncovered_stacks import StackWatch
from holdfast.errors import UncoveredStackError
from holdfast.facts.tls_stacks import TLS_STACKS, TlsStack

Told = list[tuple[str, bool]]


@pytest.fixture
def told() -> Told:
    """What the watch told."""
    return []


@pytest.fixture
def watching(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Watch, with a `pycurl` to be imported; the list holds whether it is refused."""
    (tmp_path / "pycurl.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pycurl", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", sys)

    def tell(stack: TlsStack, *, refused: bool) -> None:
        told.append((stack.name, refused))

    refuses = [False]
    watch = StackWatch(lambda: refuses[0], tell)
    watch.begin()
    yield refuses
    watch.end()
    watch.end()  # twice is once
    sys.modules.pop("pycurl", None)


def test_a_stack_is_told_and_let_through(watching: list[bool], told: Told) -> None:
    """What is there already is told at the start, and the rest when it is imported."""
    importlib.import_module("pycurl")

    assert [False] == watching
    assert {("grpcio", False), ("pycurl", False)} <= set(told)


def test_a_stack_is_refused_where_it_must_be_pinned(watching: list[bool], told: Told) -> None:
    """The policy of the moment counts; optional imports take the error for a missing module."""
    watching[0] = True

    with pytest.raises(UncoveredStackError, match="PINNEDPUBLICKEY") as caught:
        importlib.import_module("pycurl")

    assert isinstance(caught.value, ImportError)
    assert ("pycurl", True) in told
    assert "pycurl" not in sys.modules


def test_an_optional_stack_is_never_let_in(
    watching: list[bool], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who imports it goes on with `ssl`, which is pinned, whatever the policy says."""
    optional = replace(TLS_STACKS["pycurl"], optional=True)
    monkeypatch.setitem(TLS_STACKS, "pycurl", optional)

    with pytest.raises(UncoveredStackError, match="cannot be pinned here") as caught:
        importlib.import_module("pycurl")

    assert [False] == watching
    assert "the policy refuses" not in str(caught.value)
    assert ("pycurl", True) in told


@pytest.mark.parametrize("refused", [False, True])
def test_who_asks_whether_a_stack_is_there_is_answered(watching: list[bool], refused: bool) -> None:
    """Programs look for optional modules without importing them."""
    watching[0] = refused

    assert importlib.util.find_spec("pycurl") is not None


@pytest.mark.parametrize("refused", [False, True])
def test_a_stack_that_is_not_installed_is_not_told(
    watching: list[bool], told: Told, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """An optional import that fails anyway leaves nothing uncovered."""
    watching[0] = refused
    monkeypatch.setitem(TLS_STACKS, "no_such_stack", TLS_STACKS["pycurl"])

    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_stack")

    assert not [name for name, _ in told if name == "pycurl"]
