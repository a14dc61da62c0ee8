"""Brings enforcement into a Python that `holdfast run` starts, before the program's own code.

Python imports the first `sitecustomize` that it finds when it starts (documented in `site`), and
this folder stands first in PYTHONPATH. What goes wrong here ends the process: Python itself would
only complain and go on, unpinned. The program's own sitecustomize comes after it.

This file may be read by any Python that the program starts, also by one without Holdfast.
"""

import os
import sys

_FAILED = 125


def _begin() -> None:
    try:
        from holdfast.run_child import begin_from_environment

        begin_from_environment()
    except BaseException as error:  # noqa: BLE001  as said above
        text = str(error) or type(error).__name__
        # Old Pythons have no ModuleNotFoundError, and an error here would let them go on, unpinned.
        if isinstance(error, ImportError) and getattr(error, "name", None) == "holdfast":
            if "HOLDFAST_RUN_OBSERVES" in os.environ and "HOLDFAST_RUN_CONFIRM" not in os.environ:
                return  # nothing is refused, and there is nothing to see it with
            text = f"{sys.executable} has no holdfast: install it there"
        sys.stderr.write(f"holdfast: error: pins cannot be enforced in this process: {text}\n")
        sys.stderr.flush()
        os._exit(_FAILED)


def _hand_over() -> None:
    """Run the sitecustomize that would have been found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  light to start with
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]  # noqa: PTH100
    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


_begin()
_hand_over()
