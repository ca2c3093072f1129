"""skbn against other libraries (the *peers*), row by row, with goals and verdicts.

    python -m benchmarks.versus                            # the whole table
    python -m benchmarks.versus --rows 'step/*' 'search/*' --threads 1 2
    python -m benchmarks.versus --runs 2                   # and how far two passes are apart
    python -m benchmarks.versus --list

The sides take turns. A sample lasts 50 ms or more, and medians are compared. The first number of
threads gives the verdict. Before a row is timed, the results of its sides are compared: the column
"the same" has their largest difference, relative to the largest number. Peers that are not
installed are left out.

With --runs 2 a row is prepared and measured twice, in two passes. The ratio is the ratio of the
medians over all samples. The spread is the difference between the ratios of the passes. A goal that
is missed by no more than the spread counts as met.

The verdict on AVX2 needs a build for AVX2 only, with OpenBLAS limited to the same level:

    SKBN_SIMD=avx2 python setup.py build_ext --inplace
    OPENBLAS_CORETYPE=Haswell python -m benchmarks.versus --runs 2

OpenBLAS reads OPENBLAS_CORETYPE once, when it is loaded. The variable holds for the whole process,
so also for scikit-learn and for the bare products. PyTorch has another BLAS and keeps its own
level.
"""

import argparse
import os
import sys
from pathlib import Path

from benchmarks import peers as libraries
from benchmarks import report, rows
from benchmarks.work import LeftOut, Options
from skbn.kernels import _simd


def main(argv=None):
    """Measure, print, write; return 1 if the results of two sides of a row differ."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    if arguments.list:
        print("\n".join(rows.names()))
        return 0
    try:
        chosen = rows.chosen(arguments.rows)
    except ValueError as error:
        parser.error(str(error))
    options = Options(arguments.repeats, arguments.runs, arguments.data, arguments.wheel)
    threads = ", ".join(map(str, arguments.threads))
    samples = f"{options.runs} x {options.repeats}" if options.runs > 1 else f"{options.repeats}"
    print(f"medians of {samples}, threads of both sides: {threads}")
    print(f"loops of skbn: {_simd.level()}, OpenBLAS: {', '.join(report.blas_levels())}\n")
    print(report.header(), flush=True)
    table, left_out = [], {}
    for work, peers in chosen:
        for row in measured(work, peers, arguments.threads, options, left_out):
            table.append(row)
            print(report.line(row), flush=True)
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    verdicts = [row.verdict for row in table]
    print(f"\n{verdicts.count('met')} goals met, {verdicts.count('missed')} missed")
    arguments.output.mkdir(parents=True, exist_ok=True)
    report.write_json(arguments.output / "versus.json", table, left_out, vars(arguments))
    report.draw(arguments.output / "versus.png", table)
    print(f"written to {arguments.output}")
    return int("not the same" in verdicts)


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.versus",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("--rows", nargs="+", default=["*"], help="names, * and ? allowed")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--repeats", type=positive, default=5, help="samples a side (default: 5)")
    parser.add_argument("--runs", type=positive, default=1, help="passes over a row (default: 1)")
    parser.add_argument("--threads", type=positive, nargs="+", default=[1], help="default: 1")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(data) if data else None,
        help="directory of data sets, for time-to-score (default: the variable SKBN_DATA)",
    )
    parser.add_argument("--wheel", type=Path, help="a wheel, whose size is a row")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/benchmarks"),
        help="directory of versus.json and versus.png (default: build/benchmarks)",
    )
    return parser


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def measured(work, peers, threads, options, left_out):
    """The rows of a work. Adds rows that could not be measured to `left_out`, by name."""
    missing = {peer: libraries.missing(peer) for peer in peers}
    for peer, modules in missing.items():
        if modules:
            left_out[f"{work.name}/{peer}"] = f"not installed: {', '.join(modules)}"
    peers = [peer for peer in peers if not missing[peer]]
    if not peers:
        return []
    result = {}
    for count in threads if work.is_threaded else threads[:1]:
        try:
            with libraries.limited_threads(count, peers):
                passes = [work.measure(options, peers) for _ in range(options.runs)]
        except LeftOut as reason:
            left_out[work.name] = str(reason)
            return []
        for peer in peers:
            name = f"{work.name}/{peer}"
            reasons = [one.left_out[peer] for one in passes if peer in one.left_out]
            if reasons:
                left_out[name] = reasons[0]
                continue
            row = report.Row(name, peer, work.goals[peer], passes[0].unit)
            result.setdefault(peer, row).add(count, passes)
    return list(result.values())


if __name__ == "__main__":
    sys.exit(main())
