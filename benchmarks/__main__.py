"""`make bench`: prints the table. Every ratio is of two measurements that alternate in the same run, the median of the rounds.

The hardware is shared and noisy, so the rates mean little and the ratios more. Nothing fails when a bar is missed: it is said.
"""

import argparse
from pathlib import Path

from benchmarks import cluster, distributed, embedded, subscribing
from benchmarks.postgres import DISK
from benchmarks.table import HEAD

MEASUREMENTS = {**embedded.MEASUREMENTS, **distributed.MEASUREMENTS, **subscribing.MEASUREMENTS, **cluster.MEASUREMENTS}


def main() -> None:
    """Measure what the command line names, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--disk", type=Path, default=DISK, help="a folder on a disk, for what has to be durable")
    parser.add_argument("only", nargs="*", choices=[*MEASUREMENTS, []])
    options = parser.parse_args()
    print(HEAD)
    for name, measure in MEASUREMENTS.items():
        if not options.only or name in options.only:
            for row in measure(options):
                print(row, flush=True)


if __name__ == "__main__":
    main()
