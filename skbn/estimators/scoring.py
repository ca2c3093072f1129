"""Validation rows: how they are held out, and how they score a network."""

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from skbn.estimators.arguments import in_the_name_of
from skbn.estimators.transaction import draft_of
from skbn.network.processes import ONE_PROCESS
from skbn.network.statistics import set_exact_statistics
from skbn.training.validation_record import Evaluation

# Maximum number of rows for the exact statistics before each score. 10^3 to 10^4 rows are enough
# (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3).
STATISTICS_ROWS = 10_000

# The words of scikit-learn's error.
TOO_FEW_HELD_OUT = (
    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
)


def split_off(rows, fraction, random_state, stratified):
    """Split rows into training and validation rows, as scikit-learn does.

    Raises
    ------
    ValueError
        If there would be fewer than two validation rows, or no training rows.
    """
    # Row numbers are split: the random numbers do not depend on the data.
    with in_the_name_of("validation_fraction", instead_of="test_size"):
        numbers = train_test_split(
            np.arange(rows.n),
            random_state=random_state,
            test_size=fraction,
            # As in scikit-learn, stratified by whether the class is the second of two classes.
            stratify=rows.targets.astype(bool) if stratified else None,
        )
    training, validation = rows.marked(numbers[0]), rows.marked(numbers[1])
    if validation.n < 2:
        raise ValueError(TOO_FEW_HELD_OUT)
    return training, validation


def hold_out(rows, fraction, random_state, *, stratified, shuffle, processes=ONE_PROCESS):
    """Split rows into training and validation rows under ``early_stopping='auto'``.

    If the split is stratified, each class gives its share of rows, rounded up or down, whatever the
    number of classes is. The only row of a class is trained on. scikit-learn's split refuses
    classes of one row, and fewer held-out rows than classes.

    Parameters
    ----------
    rows : Rows
    fraction : float
        The share of rows that is held out.
    random_state : numpy.random.RandomState
        Not used without `shuffle`.
    stratified : bool
        Whether the first column of the targets has classes, which keep their shares.
    shuffle : bool
        Whether random rows are held out. Otherwise the last rows are held out.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together. Each holds out its share of its own rows.
    """
    n = rows.n
    order = random_state.permutation(n) if shuffle else np.arange(n)
    n_held = processes.share(n, n_held_out(int(processes.total(n)), fraction))
    if processes.is_parallel:
        n_held = min(n_held, n - 1)  # each process trains on a row
    if shuffle and stratified and n_held > 0:
        order = order[np.argsort(rows.targets[order, 0], kind="stable")]
        _, classes, counts = np.unique(
            rows.targets[order, 0], return_inverse=True, return_counts=True
        )
        candidates = np.flatnonzero(counts[classes] > 1)
        # The rows are sorted by class. Evenly spaced rows are held out, from a random start.
        spacing = len(candidates) / n_held
        places = ((np.arange(n_held) + random_state.uniform()) * spacing).astype(np.intp)
        held = order[candidates[places]] if spacing >= 1.0 else order[candidates]
        # One row of each class is trained on, even where neighbouring places are held out.
        first = order[np.concatenate([[0], np.cumsum(counts)[:-1]])]
        if spacing < 2.0:
            held = np.setdiff1d(held, first)
    else:
        held = order[n - n_held :]
    is_held = np.zeros(n, bool)
    is_held[held] = True
    return rows.marked(np.flatnonzero(~is_held)), rows.marked(np.flatnonzero(is_held))


def n_held_out(n_rows, fraction):
    """The number of held-out rows, rounded up as in scikit-learn."""
    return int(np.ceil(fraction * n_rows))


class Validation:
    """Evaluates a network on validation rows by exact statistics of training rows.

    Parameters
    ----------
    network : Network
        The network in training. Each evaluation replaces its running statistics.
    training : Table
        The training rows.
    validation : Table
        The validation rows, normalized like the training rows.
    rows : Rows
        The same validation rows, before normalization.
    score : callable
        Takes raw outputs and `rows`. Returns the score, and the losses of the rows, whose mean is
        minus the score; None instead of the losses under another score.
    random_state : numpy.random.RandomState
        Draws the rows for the exact statistics once, if there are too many rows.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.
    """

    # The checkpoints as shares of the epochs, and the standard errors by which an earlier
    # checkpoint must be better than the last one. The best of many checkpoints is mostly the
    # luckiest.
    shares = tuple(tenths / 10 for tenths in range(3, 11))
    standard_errors = 2.0

    def __init__(
        self, network, training, validation, rows, score, random_state, processes=ONE_PROCESS
    ):
        self.network = network
        self.processes = processes
        self.training = training
        self.validation = validation
        self.rows = rows
        self.score = score
        self.statistics_rows = None
        trained = training.trained_rows
        if network.is_normalized and processes.total(len(trained)) > STATISTICS_ROWS:
            n_chosen = processes.share(len(trained), STATISTICS_ROWS)
            chosen = random_state.permutation(len(trained))[:n_chosen]
            self.statistics_rows = trained[np.sort(chosen)]

    def evaluate(self, exact=True):
        """The `Evaluation` of the present network; `exact`: by exact statistics."""
        return self.evaluation_of(self.outputs(exact))

    def outputs(self, exact):
        """Raw outputs of the present network; `exact`: after its exact statistics are set."""
        if exact:
            rows = self.statistics_rows
            set_exact_statistics(self.network, self.training, rows, self.processes)
        return self.raw_outputs()

    def evaluation_of(self, z):
        """The `Evaluation` of raw outputs."""
        score, row_losses = self.score(z.astype(np.float64, copy=False), self.rows)
        weight = self.rows.n if self.rows.sample_weight is None else self.rows.sample_weight.sum()
        loss = self.processes.combined(lambda: self.network.loss_of(z, self.validation), weight)
        return Evaluation(float(score), loss, row_losses, self.rows.sample_weight)

    def raw_outputs(self):
        """Raw outputs of the present network for the validation rows."""
        return self.network.infer(self.validation, self.validation.rows)


def scoring_of(estimator, network, targets, checkpoints):
    """The score on validation rows, as a function for `Validation`.

    Parameters
    ----------
    estimator : estimator
        A draft with the parameter `scoring`. A scorer gets a copy of this draft, fitted up to now.
    network : Network
        The network in training.
    targets : ClassTargets or RealTargets
    checkpoints : bool
        Whether ``early_stopping='auto'`` chooses among checkpoints. ``scoring=None`` is then the
        loss.
    """
    scoring = estimator.scoring
    processes = targets.processes
    # In a stream the temperature of the earlier fit stays.
    tempers = targets.prior is not None
    if scoring == "loss" or (scoring is None and checkpoints):

        def loss(z, rows):
            if not processes.all(np.isfinite(z).all()):
                return np.nan, None
            row_losses = targets.row_losses(z, rows, tempers)
            return -processes.average(row_losses, rows.sample_weight), row_losses

        return loss
    if scoring is None:
        return lambda z, rows: (targets.score(z, rows, tempers), None)
    scorer = check_scoring(estimator, scoring=scoring)

    def score(z, rows):
        if not np.isfinite(z).all():
            return np.nan, None
        fitted = draft_of(estimator)
        fitted._keep_network(network.copy())
        # A scorer gets arrays, which have no column names.
        vars(fitted).pop("feature_names_in_", None)
        vars(fitted).update(targets.attributes_calibrated_on(z, rows))
        weight = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
        X, y = estimator._shown_rows(rows.own_X), targets.shown(rows.targets)
        try:
            return scorer(fitted, X, y, **weight), None
        except Exception as error:
            given = " with their weights" if weight else ""
            raise ValueError(
                f"scoring={scoring!r} failed on the {len(y)} validation rows{given}: "
                f"{type(error).__name__}: {error}"
            ) from error

    return score
