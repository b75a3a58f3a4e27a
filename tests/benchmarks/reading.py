"""What reading costs, as ratios to Python's own csv module: `python tests/benchmarks/reading.py [rows]`.

Each figure is the best of three, in processor time, so that a busy machine tells the same.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from gradio_flagplus import read_flags
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.log import CsvLog, Entry

COLUMNS = name_columns([Column("num1", "json"), Column("operation"), Column("num2", "json"), Column("Output", "json")])
REASONS = Column("flag", "text", "reasons")


def seconds(work: Callable[[], object]) -> float:
    """The best processor time of three runs."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def filled(directory: Path, rows: int) -> Path:
    """The guide's calculator, flagged so often, with its bookkeeping right."""
    log = CsvLog(directory, fsync=False)
    log.append(Entry(COLUMNS, ["5", "add", "7", "12"], {REASONS: "wrong"}))
    with open(directory / "logs.csv", "ab") as file:
        file.writelines(b"%d,add,%d.5,%d,wrong\r\n" % (row, row % 7, row + 7) for row in range(1, rows))
    log.mend()
    return directory


def read_csv(path: Path) -> None:
    """Every row, by Python's own csv module."""
    with open(path, newline="", encoding="utf-8") as file:
        for _ in csv.reader(file):
            pass


def read_values(directory: Path) -> None:
    """Every flag, with its values decoded."""
    for flag in read_flags(directory):
        _ = flag.values


def read_rows(directory: Path) -> None:
    """Every flag, its values left as they are."""
    for _ in read_flags(directory):
        pass


def growth(work: Callable[[], object]) -> float:
    """The megabytes that Python's memory grew by at most."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (1 << 20)


def import_seconds(module: str) -> float:
    """How long a fresh interpreter takes for an import, over one that imports nothing."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    return min(run(f"import {module}") for _ in range(3)) - min(run("") for _ in range(3))


def main() -> None:
    """Measure and tell."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        directory = filled(Path(folder) / "flagged", rows)
        base = seconds(lambda: read_csv(directory / "logs.csv"))
        print(f"{rows:,} rows; csv.reader takes {base:.2f} s")
        values, rows_only = seconds(lambda: read_values(directory)), seconds(lambda: read_rows(directory))
        print(f"iterating, values decoded: {values / base:.2f} x csv.reader (goal <= 4)")
        print(f"iterating, none decoded:   {rows_only / base:.2f} x csv.reader")
        print(f"len(), bookkeeping right:  {seconds(lambda: len(read_flags(directory))) * 1e3:.2f} ms")
        print(f"memory of an iteration:    {growth(lambda: read_values(directory)):.1f} MB (goal < 64)")
    print(f"import gradio_flagplus:    {import_seconds('gradio_flagplus'):.3f} s (goal < 0.15)")
    print(f"... and its reader:        {import_seconds('gradio_flagplus.reader'):.3f} s")


if __name__ == "__main__":
    main()
