import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.enforcement.uncovered_stacks import StackWatch
from holdfast.errors import UncoveredStackError
from holdfast.facts.tls_stacks import TlsStack

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
