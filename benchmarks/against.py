"""Before and after a change: the times of skbn in this checkout and in another one, row by row.

    python -m benchmarks.against ../base --rows 'step/*' 'stream/*'

Both checkouts must be built in place. Each checkout has its own process, which imports the skbn and
the rows of this checkout, named as in `benchmarks.versus`. The processes take turns, sample by
sample, and prepare a row anew for each sample. If a row has the bare matrix products as a peer,
their time is reported as a scale.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from benchmarks import rows
from benchmarks.child import ROOT
from benchmarks.report import quantity
from benchmarks.timing import medians
from benchmarks.versus import positive
from benchmarks.work import OWN

SCALE = "products"
COLUMNS = "{:<36} {:>9} {:>9} {:>10} {:>9} {:>13} {:>13}"
HEADER = ("row", "base", "this", "this/base", SCALE, "base/products", "this/products")
# This code runs in both checkouts with the modules of the checkout. It reads a line and answers
# with a line.
CODE = """
import json, os, sys
import skbn
from benchmarks import peers, rows, work
works = {work.name: work for work in rows.WORKS}
print(json.dumps([os.path.realpath(skbn.__file__), list(works)]), flush=True)
for line in sys.stdin:
    name, threads, scale = json.loads(line)
    try:
        wanted = [peer for peer in works[name].goals if peer == scale]
        with peers.limited_threads(threads, wanted):
            measured = works[name].measure(work.Options(repeats=1), wanted)
        answer = [{side: measured.samples[side] for side in (work.OWN, *wanted)}, measured.unit]
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""


class NotMeasured(Exception):
    """The reason why a checkout has no number, in one line."""


class Checkout:
    """A process that runs `CODE` in its checkout and measures one sample at a time."""

    def __init__(self, process, path):
        self.process = process
        imported, self.names = self._answer()
        if not Path(imported).is_relative_to(path):
            raise NotMeasured(f"{path} has no skbn: {imported} was imported")

    def sample(self, name, threads):
        """One sample of our side of a work, and of its scale if it has one; and their unit."""
        if name not in self.names:
            raise NotMeasured("does not know this row")
        self.process.stdin.write(json.dumps([name, threads, SCALE]) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if isinstance(answer, str):
            raise NotMeasured(answer)
        return answer

    def _answer(self):
        answer = self.process.stdout.readline()
        if not answer:
            raise NotMeasured("the process of a checkout has ended: is it built in place?")
        return json.loads(answer)


@contextmanager
def opened(path):
    """A checkout with its process. The process ends afterwards."""
    path = path.resolve()
    environment = os.environ | {"PYTHONPATH": str(path), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=path, env=environment, **pipes) as process:
        yield Checkout(process, path)


def line(name, checkouts, repeats, threads):
    """One line of the table: a work, measured in turns in the checkouts "base" and "this"."""
    samples = {label: {} for label in checkouts}
    for _ in range(repeats):
        for label, checkout in checkouts.items():
            try:
                sample, unit = checkout.sample(name, threads)
            except NotMeasured as reason:
                return f"{name:<36} {label}: {reason}"
            for side, values in sample.items():
                samples[label].setdefault(side, []).extend(values)
    base, this = medians(samples["base"]), medians(samples["this"])
    texts = [quantity(base[OWN], unit), quantity(this[OWN], unit), f"{this[OWN] / base[OWN]:.3f}"]
    if SCALE in base and SCALE in this:
        both = medians({SCALE: samples["base"][SCALE] + samples["this"][SCALE]})[SCALE]
        texts += [quantity(both, unit), f"{base[OWN] / both:.2f}", f"{this[OWN] / both:.2f}"]
    return COLUMNS.format(name, *texts, *[""] * (6 - len(texts))).rstrip()


def main(argv=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", type=Path, help="the other checkout, built in place")
    parser.add_argument("--rows", nargs="+", default=["*"], help="names, * and ? allowed")
    parser.add_argument("--repeats", type=positive, default=5, help="samples a side (default: 5)")
    parser.add_argument("--threads", type=positive, default=1, help="default: 1")
    arguments = parser.parse_args(argv)
    try:
        chosen = rows.chosen(arguments.rows)
        with opened(arguments.base) as base, opened(ROOT) as this:
            print(COLUMNS.format(*HEADER), flush=True)
            both = {"base": base, "this": this}
            for work, _ in chosen:
                print(line(work.name, both, arguments.repeats, arguments.threads), flush=True)
    except (ValueError, OSError, NotMeasured) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
