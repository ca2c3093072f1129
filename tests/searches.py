"""What the candidates of a search run on the workers of a cluster."""

from joblib import effective_n_jobs

from skbn.estimators import jobs


def score_and_threads(fitted, X, y):
    """A scorer that also returns how many threads would train the members of an ensemble."""
    return {
        "score": fitted.score(X, y),
        "default": jobs.n_threads(None, 99),
        "two": jobs.n_threads(2, 99),
        "all": jobs.n_threads(-1, 99),
        "cluster": effective_n_jobs(-1),
    }
