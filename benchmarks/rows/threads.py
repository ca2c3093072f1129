"""Two fits at once in two threads: training holds no lock of Python's, so they go side by side."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.networks import AS_UPSTREAM, LARGE
from benchmarks.work import OWN, Goal, Sides, Work, timed
from skbn import MLPWithBatchNormClassifier


def sides(options, peers):
    """The same fit in both threads; one of them alone. About 1 where two cores are free."""
    training = LARGE[0]
    X, y = training.rows()

    def fit():
        # Ends by itself after so few epochs, without a warning that it could go on.
        mlp = MLPWithBatchNormClassifier(
            training.units[1:-1],
            batch_size=training.batch_size,
            tol=10.0,
            n_iter_no_change=2,
            random_state=0,
            **AS_UPSTREAM,
        )
        mlp.fit(X, y)

    def two_fits():
        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(fit), pool.submit(fit)]:
                future.result()

    return Sides({OWN: two_fits, "one-fit": fit})


# BLAS stays on one thread: it would want both cores for itself.
WORKS = [Work("two-fits", {"one-fit": Goal("within")}, timed(sides), is_threaded=False)]
