"""Where tests import from."""

import sys
from pathlib import Path

# `benchmarks` is in the checkout alone. At the end of the path, so that an installed skbn comes
# before the checkout's: its extensions need not be built.
sys.path.append(str(Path(__file__).resolve().parents[1]))
