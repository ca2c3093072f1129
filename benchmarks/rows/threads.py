"""Two fits at once in two threads. Training releases the GIL, so the fits run in parallel."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.networks import AS_UPSTREAM, LARGE
from benchmarks.work import OWN, Goal, Sides, Work, timed
from skbn import MLPWithBatchNormClassifier


def sides(options, peers):
    """Two fits in two threads, and one fit alone. The ratio is about 1 if two cores are free."""
    training = LARGE[0]
    X, y = training.rows()

    def fit():
        # These settings end training after a few epochs, without a warning that it has not
        # converged.
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


# BLAS has one thread, because several BLAS threads would use both cores for one fit.
WORKS = [Work("two-fits", {"one-fit": Goal("within")}, timed(sides), is_threaded=False)]
