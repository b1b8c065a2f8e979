"""The limit of a commit: pgbench, which writes the same rows into the same tables, each command by one prepared statement in its own
transaction. It takes no lock and looks at no version; positions come from a sequence."""

import re
import subprocess
from pathlib import Path

from benchmarks.postgres import Database
from benchmarks.table import Sample

SCRIPT = Path(__file__).with_name("insert_command.sql")
SEQUENCE = "create sequence if not exists bench_position start 1000000000"


def insert_events(database: Database, url: str, clients: int, seconds: float) -> Sample:
    """Return the rate of the inserts, of one event each."""
    database.execute(SEQUENCE, database=url.rpartition("/")[2])
    before = database.cpu_seconds()
    flags = [
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        "--jobs=2",
        f"--time={max(1, round(seconds))}",
    ]
    done = subprocess.run(
        [database.binaries / "pgbench", *flags, f"--file={SCRIPT}", url], check=True, stdout=subprocess.PIPE, text=True
    )
    [count] = re.findall(r"transactions actually processed: (\d+)", done.stdout)
    [rate] = re.findall(r"tps = ([\d.]+)", done.stdout)
    return Sample(rate=float(rate), database_cpu=(database.cpu_seconds() - before) / int(count) * 1e6)
