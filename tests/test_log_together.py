"""CsvLog under many hands: threads, separately started processes, and processes that are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from logs import assert_whole, flag_image, flag_text, orphans

from gradio_flagplus.bookkeeping import Books, read_numbers
from gradio_flagplus.log import CsvLog

SCRIPT = Path(__file__).parent / "together.py"


class Hand:
    """A process of its own that flags into a directory."""

    def __init__(self, directory: Path, first: int, count: int, threads: int = 1, kind: str = "text") -> None:
        command = [sys.executable, str(SCRIPT), str(directory), str(first), str(count), str(threads), kind]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ready(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()[1]

    def begin(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> dict[int, int]:
        """The flags that it was told are stored, with their numbers. What a kill cut off is not an acknowledgement."""
        out, err = self.process.communicate(timeout=300)
        assert not err, err
        whole = out[: out.rfind("\n") + 1]
        return {int(flag): int(number) for flag, number in map(str.split, whole.splitlines())}


def all_begin(hands: Sequence[Hand]) -> None:
    """Let every process get ready, then let all of them begin at once."""
    for hand in hands:
        hand.ready()
    for hand in hands:
        hand.begin()


def threads_begin(log: CsvLog, count: int, first: int = 0) -> list[int]:
    """Flag from this many threads at the same instant; returns the numbers that were given."""
    barrier, given = threading.Barrier(count), []

    def work(number: int) -> None:
        barrier.wait()
        given.append(flag_text(log, number).number)

    threads = [threading.Thread(target=work, args=(first + place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given


def assert_one_log(directory: Path, expected: range) -> None:
    assert sorted(assert_whole(directory)) == list(expected)
    assert [path.name for path in directory.glob("*.csv")] == ["logs.csv"]


def test_sixteen_threads_begin_at_once(tmp_path):
    """In an empty directory, many rounds: one header, one log, every row once, every number once."""
    for turn in range(40):
        directory = tmp_path / str(turn)
        given = threads_begin(CsvLog(directory, fsync=False), 16)
        assert sorted(given) == list(range(16))
        assert_one_log(directory, range(16))


def test_two_loggers_in_one_process(tmp_path):
    """Two logs on one directory in one process, as two tabs have them, do not get in each other's way."""
    logs = [CsvLog(tmp_path, fsync=False) for _ in range(4)]
    given: list[int] = []

    def work(place: int) -> None:
        given.extend(flag_text(logs[place], 50 * place + number).number for number in range(50))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert_one_log(tmp_path, range(200))
    assert sorted(given) == list(range(200))


def start_race(tmp_path: Path, turns: int) -> None:
    for turn in range(turns):
        directory = tmp_path / str(turn)
        hands = [Hand(directory, 3 * place, 3) for place in range(8)]
        all_begin(hands)
        numbers = [number for hand in hands for number in hand.end().values()]
        assert_one_log(directory, range(24))
        assert sorted(numbers) == list(range(24))


def test_eight_processes_begin_at_once(tmp_path):
    """Separately started processes that make the log at the same instant lose nothing and make one log."""
    start_race(tmp_path, 2)


@pytest.mark.stress
def test_eight_processes_begin_at_once_many_times(tmp_path):
    """The same, for many rounds."""
    start_race(tmp_path, 60)


@pytest.mark.stress
@pytest.mark.timeout(900)
def test_a_long_mixed_run(tmp_path):
    """8 processes with 4 threads each, 20,000 flags, every second one with files: each row and file is as flagged."""
    each = 2500
    hands = [Hand(tmp_path, each * place, each, threads=4, kind="mixed") for place in range(8)]
    all_begin(hands)
    told = [hand.end() for hand in hands]
    acknowledged = [flag for flags in told for flag in flags]
    assert len({number for flags in told for number in flags.values()}) == len(acknowledged)

    assert sorted(acknowledged) == list(range(8 * each))
    assert sorted(assert_whole(tmp_path, acknowledged)) == list(range(8 * each))
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["logs-2.csv", "logs.csv"]
    assert not orphans(tmp_path)
    assert flag_text(CsvLog(tmp_path), 99_999).total == 8 * each + 1
    numbers = read_numbers(Books.of(tmp_path))
    given = [numbers.of(name, row) for name in ("logs.csv", "logs-2.csv") for row in range(4 * each)]
    assert sorted(given) == list(range(8 * each))


def kill_and_count(directory: Path, kills: int, chance: random.Random) -> None:
    """Kill writers at random moments; nothing acknowledged may be lost, and the log must stay whole."""
    acknowledged: list[int] = []
    for turn in range(kills):
        hand = Hand(directory, 100_000 * (turn + 1), 90_000, threads=2, kind="mixed")
        hand.ready()
        hand.begin()
        threading.Event().wait(chance.uniform(0.005, 0.12))
        os.kill(hand.process.pid, signal.SIGKILL)
        acknowledged += hand.end()
    assert len(acknowledged) > kills
    total = flag_image(CsvLog(directory), 1).total
    found = assert_whole(directory, [*acknowledged, 1])
    assert total == len(found)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL here")
def test_killed_at_random(tmp_path):
    """kill -9 in the middle of flags: no acknowledged flag is lost."""
    kill_and_count(tmp_path, 4, random.Random(1))


@pytest.mark.stress
@pytest.mark.timeout(900)
def test_killed_at_random_many_times(tmp_path):
    """More than 200 kills: not one acknowledged flag is lost."""
    kill_and_count(tmp_path, 220, random.Random())
