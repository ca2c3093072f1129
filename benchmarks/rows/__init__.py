"""The rows of the comparison, one file for each kind of work.

Each file has a list ``WORKS``. A new file must be added to the list below.
"""

from fnmatch import fnmatch

from benchmarks.rows import (
    batchnorm,
    fit_default,
    imports,
    memory,
    predict,
    recurrent,
    search,
    stream,
    threads,
    time_to_score,
    training_step,
    transformer,
    wheel,
)

WORKS = [
    work
    for module in (
        training_step,
        stream,
        recurrent,
        time_to_score,
        fit_default,
        batchnorm,
        transformer,
        predict,
        search,
        memory,
        imports,
        wheel,
        threads,
    )
    for work in module.WORKS
]


def names(works=WORKS):
    """The names of all rows."""
    return [f"{work.name}/{peer}" for work in works for peer in work.goals]


def chosen(patterns, works=WORKS):
    """Works with the peers whose rows fit one of the patterns, in the order of the table.

    Raises
    ------
    ValueError
        If a pattern fits no row.
    """
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names(works)):
            raise ValueError(f"no row is called {pattern!r}")
    picked = [
        (work, [p for p in work.goals if any(fnmatch(f"{work.name}/{p}", q) for q in patterns)])
        for work in works
    ]
    return [(work, peers) for work, peers in picked if peers]
