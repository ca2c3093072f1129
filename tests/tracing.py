"""Something done at a line of the package's source, as another thread or Ctrl-C would do it."""

import contextlib
import sys
from pathlib import Path

import skbn

PACKAGE = str(Path(skbn.__file__).parent)
CONTEXTS = contextlib.__file__


@contextlib.contextmanager
def at_lines(action, function_names=None):
    """Call ``action(n)`` before line n that is run in the block, counted from 0.

    Lines are those of the package; with `function_names` of these functions alone, and of what
    enters and leaves a ``with`` block for those that are context managers.
    """
    count = 0

    def in_package(frame, event, argument):
        nonlocal count
        if event == "line":
            count += 1
            action(count - 1)
        return in_package

    def trace(frame, event, argument):
        code = frame.f_code
        if function_names is None:
            traced = code.co_filename.startswith(PACKAGE)
        else:
            if code.co_filename == CONTEXTS and hasattr(frame.f_locals.get("self"), "gen"):
                code = frame.f_locals["self"].gen.gi_code
            traced = code.co_filename.startswith(PACKAGE) and code.co_name in function_names
        return in_package if traced else None

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(previous)
