"""The score of all members of an ensemble together on validation rows."""

from copy import copy
from itertools import chain

import numpy as np

from skbn.estimators.rows import Rows
from skbn.network.processes import ONE_PROCESS
from skbn.training.side_by_side import side_by_side
from skbn.training.validation_record import Evaluation


class PooledValidation:
    """Evaluates members on their validation rows, all rows in one pool.

    Each member predicts its own held-out rows, because the other members were trained on these
    rows. The pool has the predictions of all members one below the other. If the caller gave
    validation rows, no member was trained on them, and the pool is the mean of the predictions.

    Parameters
    ----------
    validations : list of Validation
        The `Validation` of each member.
    targets : ClassTargets or RealTargets
        The targets of the ensemble. With a prior, one temperature for all rows is applied before
        the losses of the rows are computed.
    is_shared : bool
        Whether the members have the same validation rows.
    n_threads : int
        Number of threads that evaluate the members side by side.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes that train members. `validations` belong to the members of this process. The
        pool has the rows of the members of all processes.
    """

    # A pool has more rows than the validation of one network, so its score is less noisy. So there
    # are more and earlier checkpoints: docs/decisions.rst.
    shares = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    standard_errors = 0.5

    def __init__(self, validations, targets, is_shared, n_threads, processes=ONE_PROCESS):
        self.validations, self.targets, self.processes = validations, targets, processes
        self.is_shared, self.n_threads = is_shared, n_threads
        if is_shared:
            self.rows = copy(validations[0].rows)
        else:
            parts = self._of_all(lambda: [pooled([one.rows]) for one in validations])
            self.rows = pooled(parts)

    def evaluate(self, exact=True):
        """The `Evaluation` of the present members.

        The loss is computed row by row over the pool. Any other score is the mean of the scores of
        the members.
        """

        def evaluated():
            outputs = side_by_side(
                lambda validation: validation.outputs(exact), self.validations, self.n_threads
            )
            return [
                (z, validation.evaluation_of(z))
                for validation, z in zip(self.validations, outputs, strict=True)
            ]

        outputs, evaluations = zip(*self._of_all(evaluated), strict=True)
        loss = float(np.mean([evaluation.loss for evaluation in evaluations]))
        if any(evaluation.row_losses is None for evaluation in evaluations):
            return Evaluation(float(np.mean([one.score for one in evaluations])), loss)
        z = self._pool(outputs)
        if self.targets.prior is not None:
            row_losses = self.targets.row_losses(z, self.rows, tempers=True)
        elif self.is_shared:
            row_losses = self.validations[0].evaluation_of(z).row_losses
        else:
            row_losses = np.concatenate([evaluation.row_losses for evaluation in evaluations])
        weights = self.rows.sample_weight
        score = -float(np.average(row_losses, weights=weights))
        # Other processors may round otherwise. All processes take the score of the first one.
        score = self.processes.gathered(lambda: score)[0]
        return Evaluation(score, loss, row_losses, weights)

    def raw_outputs(self):
        """The pool of the raw outputs of the present networks, in float64."""
        return self._pool(self._of_all(lambda: [one.raw_outputs() for one in self.validations]))

    def _of_all(self, function):
        # The items that ``function()`` gives for the members of each process, in one list.
        return list(chain.from_iterable(self.processes.gathered(function)))

    def _pool(self, outputs):
        outputs = [z.astype(np.float64, copy=False) for z in outputs]
        return sum(outputs) / len(outputs) if self.is_shared else np.concatenate(outputs)


def pooled(parts):
    """Targets and weights of several `Rows`, one below the other, without `X`."""
    targets = np.concatenate([rows.targets for rows in parts])
    weight = None
    if parts[0].sample_weight is not None:
        weight = np.concatenate([rows.sample_weight for rows in parts])
    return Rows(np.empty((len(targets), 0)), targets, weight)
