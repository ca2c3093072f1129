"""scikit-learn's own tests of its networks, on ours: all that fail are named, with the reason."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sklearn.neural_network
from processes import environment

HERE = Path(__file__).parent
FILE = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"

PRIVATE = {
    "test_fit": "sets coefs_ and intercepts_, and calls _backprop's helpers",
    "test_gradient": "calls _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads _optimizer.learning_rate",
    "test_n_iter_no_change": "reads _no_improvement_count",
    "test_n_iter_no_change_inf": "reads _no_improvement_count",
}
PARAMETERS = "wants parameters of X's dtype, which here is dtype=None"
EXPECTED = {
    "plain": PRIVATE,
    "normalized": PRIVATE
    | {
        "test_lbfgs_classification_maxfun[X1-y1]": "wants 10 evaluations not to be "
        "enough: they are",
        "test_partial_fit_regression": "wants fit and partial_fit to agree: after partial_fit the "
        "statistics are running averages, after fit exact",
        "test_mlp_diverging_loss": "diverges before the first score, and then there is nothing "
        "to end with",
        "test_shuffle": "has batches of one row, which batch norm refuses",
        "test_mlp_param_dtypes[MLPWithBatchNormClassifier-float64]": PARAMETERS,
        "test_mlp_param_dtypes[MLPWithBatchNormRegressor-float64]": PARAMETERS,
        "test_mlp_loading_from_joblib_partial_fit": "fits one row, which batch norm refuses",
    },
}


@pytest.mark.parametrize("mode", sorted(EXPECTED))
def test_upstream(mode, tmp_path):
    report = tmp_path / "report.xml"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "upstream_mlp", "-q", str(FILE)),
            *("-c", os.devnull, "--rootdir", str(tmp_path), f"--junitxml={report}"),
            *("-p", "no:cacheprovider", "-W", "ignore"),
        ],
        env=environment(SKBN_UPSTREAM_MODE=mode),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert report.is_file(), run.stdout + run.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {
        case.get("name")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(cases) > 50
    assert failed == set(EXPECTED[mode]), run.stdout[-5000:]
