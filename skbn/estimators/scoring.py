"""Validation rows: where they come from, and what a network is worth on them."""

import numpy as np
from sklearn.model_selection import train_test_split

from skbn.estimators.arguments import in_the_name_of
from skbn.network.statistics import set_exact_statistics

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
    training, validation = map(rows.taken, numbers)
    if validation.n < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return training, validation


class Validation:
    """Scores a network on validation rows by exact statistics of training rows.

    Parameters
    ----------
    network : Network
        The one in training. Its running statistics are replaced at each score.
    training : Table
        What it is trained on.
    validation : Table
        The validation rows, normalized like those.
    score : callable
        Of raw outputs: their score.
    random_state : numpy.random.RandomState
        Draws the rows that statistics are taken over, once, if there are too many.
    """

    def __init__(self, network, training, validation, score, random_state):
        self.network = network
        self.training = training
        self.validation = validation
        self.score = score
        self.rows = None
        if network.is_normalized and training.n_rows > STATISTICS_ROWS:
            chosen = random_state.permutation(training.n_rows)[:STATISTICS_ROWS]
            self.rows = np.sort(chosen)

    def evaluate(self, exact=True):
        """Score and loss, without the penalty, of the network as it is."""
        if exact:
            set_exact_statistics(self.network, self.training, self.rows)
        z = self.network.infer(self.validation)
        return float(self.score(z)), self.network.loss_of(z, self.validation)
