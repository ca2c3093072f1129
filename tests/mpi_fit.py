"""A program of MPI: fit a perceptron to rows of each process, and save each process's network.

Arguments: a file with the arrays ``X``, ``y``, ``weight`` and ``counts``, and a directory.
"""

import sys
from pathlib import Path

import joblib
import numpy as np
from communicators import split
from mpi4py import MPI
from test_data_parallel import network_of

from skbn.data_parallel import fit

arrays = np.load(sys.argv[1])
parts = split((arrays["X"], arrays["y"], arrays["weight"]), arrays["counts"])
communicator = MPI.COMM_WORLD
assert communicator.size == len(parts)
network = fit(network_of("classes"), *parts[communicator.rank], communicator=communicator)
joblib.dump(network, Path(sys.argv[2]) / f"{communicator.rank}.joblib")
