"""What a flag costs, beside Gradio's CSVLogger and beside the bare system calls.

    python tests/benchmarks/flagging.py [--rows 1000000] [--only NAME …]

Prints ratios taken in one run: what is compared is timed in turns, so that a machine that gets slower in between
slows both. A ratio is the median of the pairs' ratios where the two are timed in turns, else the ratio of medians.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="flagplus-bench-cache-")

import gradio as gr
import numpy as np
from PIL import Image

from gradio_flagplus import FlagLogger
from gradio_flagplus.record import scan

VALUES = ["What is the capital of France?", "Paris is the capital of France.", "a note"]
TURNS = 9


def text_components() -> list[gr.Textbox]:
    return [gr.Textbox(label=label) for label in ("prompt", "answer", "note")]


Components = list[gr.components.Component]


def flag_logger(directory: Path, components: Components | None = None, **options: bool) -> FlagLogger:
    logger = FlagLogger(**options)
    logger.setup(components or text_components(), directory)
    return logger


def csv_logger(directory: Path, components: Components | None = None) -> gr.CSVLogger:
    logger = gr.CSVLogger() if GENERATION < 5 else gr.CSVLogger(verbose=False)
    logger.setup(components or text_components(), directory)
    return logger


GENERATION = int(gr.__version__.split(".")[0])


def fresh() -> Path:
    return Path(tempfile.mkdtemp(prefix="flagplus-bench-"))


def seconds(work: Callable[[], object], times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def paired(first: Callable[[], object], second: Callable[[], object], pairs: int) -> float:
    """The median ratio of first to second, the two in turns."""
    first(), second()
    return statistics.median(seconds(first) / seconds(second) for _ in range(pairs))


def filled(rows: int) -> Path:
    """A directory whose log has this many rows, its bookkeeping deleted."""
    directory = fresh()
    flag_logger(directory, fsync=False).flag(VALUES)
    line = (",".join(VALUES) + "\r\n").encode()
    with open(directory / "logs.csv", "ab") as file:
        file.writelines(line * 10_000 for _ in range(rows // 10_000))
    for path in (directory / ".flagplus").iterdir():
        path.unlink()
    return directory


def report(what: str, ratio: float, goal: str) -> None:
    print(f"{what:<72} {ratio:>10.3g}   goal {goal}", flush=True)


def million_rows(rows: int) -> None:
    """A flag at a million rows: ours against ours at none, against CSVLogger, the scan, and the memory."""
    directory = filled(rows)
    path = directory / "logs.csv"

    def read() -> None:
        with open(path, newline="", encoding="utf-8") as file:
            for _ in csv.reader(file):
                pass

    def find() -> None:
        with open(path, "rb") as file:
            scan(file)

    report(f"scan of a {rows:,}-row log / csv.reader over it", paired(find, read, 5), "<= 0.333")

    large, empty = flag_logger(directory), flag_logger(fresh())
    large.flag(VALUES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ratio = paired(lambda: large.flag(VALUES), lambda: empty.flag(VALUES), 400)
    report(f"durable flag at {rows:,} rows / at 0 rows", ratio, "<= 1.2")
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    report(f"memory growth while flagging at {rows:,} rows, MB", growth, "< 50")

    gradios = fresh()
    theirs = csv_logger(gradios)
    theirs.flag(VALUES)
    (name,) = gradios.glob("*.csv")
    with open(name, "ab") as file:
        line = (",".join([*VALUES, "2026-01-01 00:00:00.000000"]) + "\r\n").encode()
        file.writelines(line * 10_000 for _ in range(rows // 10_000))
    their_times = [seconds(lambda: theirs.flag(VALUES)) for _ in range(3)]
    our_times = [seconds(lambda: large.flag(VALUES)) for _ in range(200)]
    ratio = statistics.median(their_times) / statistics.median(our_times)
    report(f"CSVLogger / ours (durable) at {rows:,} rows", ratio, ">= 5000")


def bare_calls() -> None:
    """A durable flag against os.write and os.fsync of the same bytes."""
    directory = fresh()
    logger = flag_logger(directory)
    descriptor = os.open(fresh() / "bare", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    line = (",".join(VALUES) + "\r\n").encode()

    def bare() -> None:
        os.write(descriptor, line)
        os.fsync(descriptor)

    report("durable text flag / bare os.write + os.fsync", paired(lambda: logger.flag(VALUES), bare, 600), "<= 1.5")


def ratios_of(ours: FlagLogger, theirs: gr.CSVLogger, values: list[object], pairs: int) -> list[float]:
    """What a flag costs with ours, as a part of what it costs with theirs, the two in turn."""
    return [seconds(lambda: ours.flag(values)) / seconds(lambda: theirs.flag(values)) for _ in range(pairs)]


def without_fsync() -> None:
    """Flags without fsync against CSVLogger, both at an empty log."""
    ratios = []
    for _ in range(40):
        ours, theirs = flag_logger(fresh(), fsync=False), csv_logger(fresh())
        ours.flag(VALUES), theirs.flag(VALUES)
        ratios += ratios_of(ours, theirs, VALUES, 10)
    report("fsync=False, text / CSVLogger, empty log", statistics.median(ratios), "<= 1.0")

    cache = Path(os.environ["GRADIO_TEMP_DIR"]) / "upload"
    cache.mkdir(parents=True, exist_ok=True)
    payload = []
    for name in ("a.png", "b.png"):
        pixels = np.random.default_rng().integers(0, 256, (520, 520, 3), np.uint8)
        Image.fromarray(pixels).save(cache / name)
        payload.append({"path": str(cache / name), "orig_name": name, "meta": {"_type": "gradio.FileData"}})
    ratios = []
    for _ in range(20):
        components = [gr.Image(label="im"), gr.Image(label="Output")]
        ours, theirs = flag_logger(fresh(), components, fsync=False), csv_logger(fresh(), components)
        ours.flag(payload), theirs.flag(payload)
        ratios += ratios_of(ours, theirs, payload, 8)
    size = (cache / "a.png").stat().st_size / 1e6
    report(f"fsync=False, two {size:.1f} MB PNGs / CSVLogger, empty log", statistics.median(ratios), "<= 1.0")


def many_threads() -> None:
    """Durable flags per second from 16 threads against those from one."""

    def rate(threads: int, each: int) -> float:
        logger = flag_logger(fresh())
        logger.flag(VALUES)
        workers = [threading.Thread(target=lambda: [logger.flag(VALUES) for _ in range(each)]) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return threads * each / (time.perf_counter() - began)

    ratio = statistics.median(rate(16, 60) / rate(1, 300) for _ in range(TURNS))
    report("durable flags per second, 16 threads / 1 thread", ratio, ">= 3")


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", default=["bare", "plain", "threads", "rows"])
    chosen = parser.parse_args()
    print(f"gradio {gr.__version__}, {os.cpu_count()} CPUs")
    for name, benchmark in (("bare", bare_calls), ("plain", without_fsync), ("threads", many_threads)):
        if name in chosen.only:
            benchmark()
    if "rows" in chosen.only:
        million_rows(chosen.rows)


if __name__ == "__main__":
    main()
