"""One process of several that flag into one directory: started on its own, it waits for the word and begins.

    python tests/together.py DIRECTORY FIRST COUNT THREADS KIND [pause]

Prints `ready`, waits for a line on stdin, then flags the numbers FIRST to FIRST + COUNT - 1 from THREADS threads and
prints each as soon as it is acknowledged, with the number that the log gave it.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from logs import flag_image, flag_text

from gradio_flagplus.log import CsvLog


def main(directory: str, first: str, count: str, threads: str, kind: str) -> None:
    """Flag as asked."""
    log = CsvLog(directory, lock_timeout=120)
    numbers = iter(range(int(first), int(first) + int(count)))
    mutex, begin = threading.Lock(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        begin.wait()
        while True:
            with mutex:
                number = next(numbers, None)
            if number is None:
                return
            try:
                flag = flag_image if kind == "image" or (kind == "mixed" and number % 2) else flag_text
                given = flag(log, number).number
            except BaseException as error:  # told at the end
                failures.append(error)
                return
            sys.stdout.write(f"{number} {given}\n")
            sys.stdout.flush()

    workers = [threading.Thread(target=work) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begin.set()
    for worker in workers:
        worker.join()
    for failure in failures:
        sys.stderr.write(f"{failure!r}\n")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main(*sys.argv[1:])
