"""Validation rows: where they come from, and what a network is worth on them."""

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from skbn.estimators.arguments import in_the_name_of
from skbn.estimators.transaction import draft_of
from skbn.network.statistics import set_exact_statistics
from skbn.training.validation_record import Evaluation

# The rows that the exact statistics before each score are taken over, at most: 10^3 to 10^4
# are enough (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3).
STATISTICS_ROWS = 10_000


def split_off(rows, fraction, random_state, stratified):
    """Training and validation rows, drawn as scikit-learn draws them.

    Raises
    ------
    ValueError
        If there would be fewer than two validation rows, or no training rows.
    """
    # Row numbers: what is drawn does not depend on what is split.
    with in_the_name_of("validation_fraction", instead_of="test_size"):
        numbers = train_test_split(
            np.arange(rows.n),
            random_state=random_state,
            test_size=fraction,
            # As upstream, by whether a row is of the second of two classes.
            stratify=rows.targets.astype(bool) if stratified else None,
        )
    training, validation = rows.marked(numbers[0]), rows.taken(numbers[1])
    if validation.n < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return training, validation


def hold_out(rows, fraction, random_state, *, stratified, shuffle):
    """Training and validation rows under ``early_stopping='auto'``.

    Stratified, each class gives its share of rows, rounded up or down, whatever the number of
    classes is; the only row of a class is trained on. scikit-learn's split refuses both.

    Parameters
    ----------
    rows : Rows
    fraction : float
        The share of rows that is held out.
    random_state : numpy.random.RandomState
        Nothing is drawn without `shuffle`.
    stratified : bool
        Whether the first column of the targets is classes.
    shuffle : bool
        Whether the rows are chosen at random; otherwise the last rows are held out.
    """
    n = rows.n
    order = random_state.permutation(n) if shuffle else np.arange(n)
    n_held = n_held_out(n, fraction)
    if shuffle and stratified:
        order = order[np.argsort(rows.targets[order, 0], kind="stable")]
        _, classes, counts = np.unique(
            rows.targets[order, 0], return_inverse=True, return_counts=True
        )
        candidates = np.flatnonzero(counts[classes] > 1)
        # Evenly spaced places along the rows of one class after the other, from a random start.
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
    return rows.marked(np.flatnonzero(~is_held)), rows.taken(np.flatnonzero(is_held))


def n_held_out(n_rows, fraction):
    """How many of `n_rows` are held out: rounded up, as in scikit-learn."""
    return int(np.ceil(fraction * n_rows))


class Validation:
    """Evaluates a network on validation rows by exact statistics of training rows.

    Parameters
    ----------
    network : Network
        The one in training. Its running statistics are replaced at each evaluation.
    training : Table
        The rows that it is trained on.
    validation : Table
        The validation rows, normalized like the training rows.
    rows : Rows
        The same validation rows as they are given.
    score : callable
        Of raw outputs and `rows`: their score, and the losses of the rows whose mean is minus the
        score, or None.
    random_state : numpy.random.RandomState
        Draws the rows that statistics are taken over, once, if there are too many.
    """

    # The checkpoints, as shares of the epochs, and how far ahead of the last one another one has to
    # be: the best of many looks at the rows of one network is mostly the luckiest.
    shares = tuple(tenths / 10 for tenths in range(3, 11))
    standard_errors = 2.0

    def __init__(self, network, training, validation, rows, score, random_state):
        self.network = network
        self.training = training
        self.validation = validation
        self.rows = rows
        self.score = score
        self.statistics_rows = None
        trained = training.trained_rows
        if network.is_normalized and len(trained) > STATISTICS_ROWS:
            chosen = random_state.permutation(len(trained))[:STATISTICS_ROWS]
            self.statistics_rows = trained[np.sort(chosen)]

    def evaluate(self, exact=True):
        """The `Evaluation` of the network as it is; `exact`: by exact statistics."""
        return self.evaluation_of(self.outputs(exact))

    def outputs(self, exact):
        """Raw outputs of the network as it is, after its exact statistics are set if asked for."""
        if exact:
            set_exact_statistics(self.network, self.training, self.statistics_rows)
        return self.raw_outputs()

    def evaluation_of(self, z):
        """The `Evaluation` of raw outputs."""
        score, row_losses = self.score(z.astype(np.float64, copy=False), self.rows)
        loss = self.network.loss_of(z, self.validation)
        return Evaluation(float(score), loss, row_losses, self.rows.sample_weight)

    def raw_outputs(self):
        """Outputs of the network as it is for the validation rows."""
        return self.network.infer(self.validation)


def scoring_of(estimator, network, targets, checkpoints):
    """The score on validation rows, as a function for `Validation`.

    Parameters
    ----------
    estimator : estimator
        A draft with the parameter `scoring`; a scorer gets a copy of it, fitted up to now.
    network : Network
        The one in training.
    targets : ClassTargets or RealTargets
    checkpoints : bool
        Whether ``early_stopping='auto'`` chooses among checkpoints, by the loss unless another
        score is asked for.
    """
    scoring = estimator.scoring
    # In a stream the temperature of the fit before is what predicts.
    tempers = targets.prior is not None
    if scoring == "loss" or (scoring is None and checkpoints):

        def loss(z, rows):
            if not np.isfinite(z).all():
                return np.nan, None
            row_losses = targets.row_losses(z, rows, tempers)
            return -np.average(row_losses, weights=rows.sample_weight), row_losses

        return loss
    if scoring is None:
        return lambda z, rows: (targets.score(z, rows, tempers), None)
    scorer = check_scoring(estimator, scoring=scoring)

    def score(z, rows):
        if not np.isfinite(z).all():
            return np.nan, None
        fitted = draft_of(estimator)
        fitted._keep_network(network.copy())
        # The rows of a scorer are arrays, which have no names.
        vars(fitted).pop("feature_names_in_", None)
        vars(fitted).update(targets.attributes_calibrated_on(z, rows))
        weight = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
        X, y = estimator._shown_rows(rows.X), targets.shown(rows.targets)
        try:
            return scorer(fitted, X, y, **weight), None
        except Exception as error:
            given = " with their weights" if weight else ""
            raise ValueError(
                f"scoring={scoring!r} failed on the {len(y)} validation rows{given}: "
                f"{type(error).__name__}: {error}"
            ) from error

    return score
