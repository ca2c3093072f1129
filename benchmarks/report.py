"""Reports of a comparison: the table, the JSON file, and the figure."""

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count

from threadpoolctl import threadpool_info

from benchmarks.timing import medians
from benchmarks.work import OWN, Check, Goal
from skbn.kernels import _simd

PACKAGES = ("skbn", "numpy", "scipy", "scikit-learn", "torch", "skorch")
COLUMNS = "{:<47} {:>9} {:>9} {:>8} {:>7} {:>9}  {:<12} {:<9} {}"
UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (0.0, "us")),
    "B": ((1e6, "MB"), (0.0, "kB")),
}
FACTORS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "MB": 1e6, "kB": 1e3}


@dataclass
class Row:
    """One row of the table.

    Attributes
    ----------
    threads : dict of int to dict
        For each number of threads: the median of each side over all passes, their ratio, the spread
        of the ratio (the largest ratio of a pass minus the smallest; None for a single pass), and
        all samples. The first number of threads gives the verdict.
    """

    name: str
    peer: str
    goal: Goal
    unit: str
    check: Check | None = None
    threads: dict = field(default_factory=dict)

    def add(self, count, passes):
        """Add the measurements of all passes over the row on so many threads."""
        sides = OWN, self.peer
        samples = {side: [value for one in passes for value in one.samples[side]] for side in sides}
        middle = medians(samples)
        ratios = [self._ratio(medians(one.samples)) for one in passes]
        self.threads[count] = {
            "median": middle,
            "ratio": self._ratio(middle),
            "spread": max(ratios) - min(ratios) if len(ratios) > 1 else None,
            "samples": samples,
        }
        for one in passes:
            if self.check is None or self.check.holds:
                self.check = one.checks.get(self.peer)

    def _ratio(self, middle):
        return self.goal.ratio(middle[OWN], middle[self.peer])

    @property
    def ratio(self):
        return next(iter(self.threads.values()))["ratio"]

    @property
    def spread(self):
        return next(iter(self.threads.values()))["spread"]

    @property
    def verdict(self):
        if self.check is not None and not self.check.holds:
            return "not the same"
        return {True: "met", False: "missed", None: "-"}[
            self.goal.is_met(self.ratio, self.spread or 0.0)
        ]


def header():
    """The first line of the table."""
    return COLUMNS.format(
        "row", "ours", "peer", "ratio", "spread", "goal", "verdict", "the same", "more threads"
    ).rstrip()


def line(row):
    """One row of the table as text."""
    middle = next(iter(row.threads.values()))["median"]
    more = [f"{n}: {values['ratio']:.2f}" for n, values in list(row.threads.items())[1:]]
    same = "" if row.check is None else f"to {row.check.difference:.0e}"
    return COLUMNS.format(
        row.name,
        quantity(middle[OWN], row.unit),
        quantity(middle[row.peer], row.unit),
        f"{row.ratio:.2f}",
        "" if row.spread is None else f"{row.spread:.2f}",
        str(row.goal),
        row.verdict,
        same,
        ", ".join(more),
    ).rstrip()


def quantity(value, unit):
    """A number of seconds or bytes in a unit that suits it."""
    name = next(name for least, name in UNITS[unit] if value >= least or least == 0.0)
    return f"{value / FACTORS[name]:.4g} {name}"


def machine():
    """The machine and the versions of a measurement."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": cpu_count(),
        "instruction_set": _simd.level(),
        "blas": blas_levels(),
        "python": platform.python_version(),
        "packages": versions,
    }


def blas_levels():
    """The names of the processors whose kernels the loaded OpenBLAS libraries use."""
    pools = threadpool_info()
    return sorted({pool["architecture"] for pool in pools if "architecture" in pool})


def processor():
    """The name of the processor, if the system gives it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor()


def write_json(path, rows, left_out, options):
    """All measurements, sample by sample."""
    content = {
        "machine": machine(),
        "options": options,
        "rows": [asdict(row) | {"verdict": row.verdict, "ratio": row.ratio} for row in rows],
        "left_out": left_out,
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


def draw(path, rows):
    """Bars of ratios divided by their goals: 1 meets a goal. A goal of "at most" is inverted."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.goal.bound is not None][::-1]
    if not rows:
        return
    values = [
        row.ratio / row.goal.bound if row.goal.kind == "faster" else row.goal.bound / row.ratio
        for row in rows
    ]
    figure = Figure(figsize=(9, 1.5 + 0.25 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    colors = ["tab:blue" if row.verdict == "met" else "tab:orange" for row in rows]
    bars = axes.barh([row.name for row in rows], values, color=colors)
    texts = [f"{row.ratio:.2f} ({row.goal})" for row in rows]
    axes.bar_label(bars, texts, padding=3, fontsize="small")
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.25, y=0.01)
    axes.set_xlabel("how far beyond the goal (1: met; blue: met, orange: missed)")
    figure.savefig(path)
