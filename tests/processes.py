"""Python in a process of its own, which imports what the tests import."""

import os
import sys


def environment(**variables):
    """The environment of a process whose modules are found where this process finds them.

    Without the safe path it would look in its working directory first, where the sources of
    skbn stand, and not the one that is installed.
    """
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **variables}
