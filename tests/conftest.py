"""Where tests import from, and the fixtures that all tests share."""

import sys
from pathlib import Path

from local_cluster import client, cluster  # noqa: F401

# `benchmarks` is in the checkout alone. At the end of the path, so that an installed skbn comes
# before the checkout's: its extensions need not be built.
sys.path.append(str(Path(__file__).resolve().parents[1]))
