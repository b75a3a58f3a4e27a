"""The command line: what it prints, what it exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradio_flagplus import cli
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.decisions import decide
from gradio_flagplus.log import CsvLog, Entry

COLUMNS = name_columns([Column("a"), Column("im", "file", component="image"), Column("flag", "text", "reasons"),
                        Column("username", "text", "username"), Column("timestamp", "text", "timestamp")])  # fmt: skip
T = "2024-05-06 07:08:09.123456"


@pytest.fixture
def flag_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "flagged"
    log = CsvLog(folder)
    _, _, reasons, username, timestamp = COLUMNS
    for place, (reason, user) in enumerate([("wrong", "ann"), ("wrong|blurry", "ann"), ("", "bob")]):
        with log.staging() as staging:
            file = staging.write(b"png", ".png")
            meta = {reasons: reason, username: user, timestamp: f"2024-01-0{place + 1}T12:00:00.000+00:00"}
            log.append(Entry(COLUMNS[:2], [str(place), _file(file)], meta))
    return folder


def _file(staged):
    from gradio_flagplus.cells import cell_of

    return cell_of(staged, "file")


Run = Callable[..., "Result"]


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys, monkeypatch) -> Run:
    """Run the command line in this process, as the entry point does."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["flagplus", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run


def spawn(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **options)


# ---- stats


def test_stats_counts_what_there_is(run, flag_dir):
    """`stats` tells flags, reasons, users, the span of time and sizes, in 80 columns."""
    result = run("stats", flag_dir)

    assert (result.code, result.err) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    assert ["Flags", "3"] in lines
    assert ["wrong", "2"] in lines
    assert ["bob", "1"] in lines
    assert ["First", "2024-01-01", "12:00:00", "UTC"] in lines
    assert ["Files", "3", "(9", "B)"] in lines
    assert max(map(len, result.out.splitlines())) <= 80


def test_stats_for_scripts(run, flag_dir):
    """`--json` is JSON and nothing else."""
    found = json.loads(run("stats", flag_dir, "--json").out)

    size = (flag_dir / "logs.csv").stat().st_size
    assert found == {
        "directory": str(flag_dir),
        "flags": 3,
        "logs": [{"name": "logs.csv", "flags": 3, "bytes": size}],
        "files": {"count": 3, "bytes": 9},
        "first": "2024-01-01T12:00:00+00:00",
        "last": "2024-01-03T12:00:00+00:00",
        "reasons": {"wrong": 2, "blurry": 1},
        "users": {"ann": 2, "bob": 1},
    }


def test_one_hot_reasons_are_counted(run, tmp_path):
    """Reasons in columns of their own are counted as the joined ones are; one may hold a `|`."""
    log = CsvLog(tmp_path)
    hot = [Column(f"flag: {reason}", "json", "reason", reason=reason) for reason in ("a|b", "c", "never")]
    for given in ("1", "0", "1"):
        log.append(Entry(COLUMNS[:1], ["x"], dict(zip(hot, (given, "1", "0"), strict=True))))

    assert json.loads(run("stats", tmp_path, "--json").out)["reasons"] == {"c": 3, "a|b": 2}


def test_a_hostile_text_is_shown_as_it_is(run, tmp_path):
    """Markup, control characters, line ends and writing from right to left in a reason or name are plain text."""
    hostile = "[red]x[/nope] :smile: \x1b[31m\x07\x9b2J\u202e\r\n" + "long" * 40
    log = CsvLog(tmp_path / "flagged")
    log.append(Entry(COLUMNS[:1], ["x"], {COLUMNS[2]: hostile, COLUMNS[3]: hostile}))

    result = run("stats", tmp_path / "flagged")

    assert result.code == 0
    assert r"[red]x[/nope] :smile: \x1b[31m\x07\x9b2J\u202e" in result.out
    assert not [c for c in result.out if not c.isprintable() and c != "\n"]
    assert max(map(len, result.out.splitlines())) <= 80


def test_a_directory_without_flags_has_none(run, tmp_path):
    """An empty directory is no error: it has no flags."""
    result = run("stats", tmp_path)

    assert result.code == 0
    assert ["Flags", "0"] in [line.split() for line in result.out.splitlines()]


def test_stats_does_not_load_gradio(flag_dir):
    """`stats` runs without Gradio, and `import gradio_flagplus` without anything heavy."""
    code = (
        "import sys, gradio_flagplus; assert 'numpy' not in sys.modules;"
        "from gradio_flagplus import cli\n"
        f"sys.argv = ['flagplus', 'stats', {str(flag_dir)!r}]\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'gradio', 'pandas', 'datasets', 'pyarrow', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )

    result = spawn("-c", code)

    assert (result.returncode, result.stderr) == (0, "")


def test_the_package_is_imported_in_no_time():
    """`import gradio_flagplus` takes less than 0.15 s of the processor, at best of three."""
    code = "import time; t = time.process_time(); import gradio_flagplus; print(time.process_time() - t)"

    assert min(float(spawn("-c", code).stdout) for _ in range(3)) < 0.15


@pytest.mark.stress
def test_a_million_flags_are_counted_in_seconds(tmp_path):
    """`stats` on a million rows takes seconds of the processor."""
    resource = pytest.importorskip("resource")
    folder = tmp_path / "flagged"
    folder.mkdir()
    row = "5,add,7,12,wrong|blurry,ann,2024-01-01T12:00:00.000+00:00\r\n"
    (folder / "logs.csv").write_text(
        "num1,operation,num2,Output,flag,username,timestamp\r\n" + row * 1_000_000, newline=""
    )

    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = spawn("-m", "gradio_flagplus", "stats", str(folder), "--json")

    assert json.loads(result.stdout)["flags"] == 1_000_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began < 10


# ---- check


def test_check_is_content_with_a_whole_directory(run, flag_dir):
    """Without problems `check` says so and exits with 0."""
    result = run("check", flag_dir)

    assert (result.code, result.out) == (0, "No problems.\n")


def test_check_finds_and_mends(run, flag_dir):
    """A problem is told with its place and exits with 1; `--fix` mends it and exits with 0."""
    (flag_dir / "im" / "99.png").write_bytes(b"orphan")

    found = run("check", flag_dir)
    asjson = json.loads(run("check", flag_dir, "--json").out)
    fixed = run("check", flag_dir, "--fix")
    after = run("check", flag_dir)

    assert (found.code, fixed.code, after.code) == (1, 0, 0)
    assert "im/99.png" in found.out
    assert asjson["found"][0]["path"] == str(flag_dir / "im" / "99.png")
    assert asjson["left"] == 1
    assert "1 problem, 1 of them mended" in fixed.out


def test_what_cannot_be_mended_stays_found(run, flag_dir):
    """A missing file cannot be mended: `--fix` exits with 1."""
    (flag_dir / "im" / "1.png").unlink()

    assert run("check", flag_dir, "--fix").code == 1


# ---- export and adopt


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [0, 1, 2]),
        (["--reason", "blurry", "--reason", "x"], [1]),
        (["--user", "ann", "--since", "2024-01-02"], [1]),
        (["--where-reviewed", "keep"], [2]),
    ],
)
def test_export_hands_its_options_on(run, flag_dir, tmp_path, options, numbers):
    """`export` writes the flags that its options ask for, and says how many."""
    decide(flag_dir, 2, "keep")
    out = tmp_path / "out"

    result = run("export", flag_dir, out, "--format", "jsonl", *options)

    assert (result.code, result.err) == (0, "")
    assert [json.loads(line)["number"] for line in (out / "flags.jsonl").read_text().splitlines()] == numbers
    assert result.out.startswith(f"Wrote {len(numbers)} flag")


def test_export_tells_what_is_missing(run, flag_dir, tmp_path):
    """What could not be exported is told on stderr."""
    (flag_dir / "im" / "1.png").unlink()

    result = run("export", flag_dir, tmp_path / "out", "--format", "jsonl", "--no-copy")

    assert (result.code, result.err) == (0, "Note: 1 file that a flag names is gone; its value is empty.\n")


def test_adopt_tells_what_it_did(run, tmp_path):
    """`adopt` says what it took over and exits with 1 if a row had to be left out; a second run adds nothing."""
    source = tmp_path / "old"
    source.mkdir()
    (source / "dataset1.csv").write_text(f"a,timestamp\r\nx,{T}\r\nx\r\n", newline="")

    first = run("adopt", source, tmp_path / "new")
    second = run("adopt", source, tmp_path / "new")

    assert (first.code, second.code) == (1, 1)
    assert first.out.startswith("Took over 1 flag and 0 files into")
    assert first.err.startswith("Warning: ")
    assert "; 1 were there already, 1 were left out" in second.out


# ---- being called wrongly


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["stats", "nowhere"], id="stats"),
        pytest.param(["check", "nowhere"], id="check"),
        pytest.param(["export", "nowhere", "out", "--format", "jsonl"], id="export"),
        pytest.param(["adopt", "nowhere", "out"], id="adopt"),
        pytest.param(["export", "flagged", "flagged", "--format", "jsonl"], id="out taken"),
        pytest.param(["export", "flagged", "out", "--format", "audiofolder"], id="no sounds"),
        pytest.param(["export", "flagged", "out", "--format", "jsonl", "--reason", "?"], id="no flags"),
    ],
)
def test_a_failure_is_one_line_and_exit_1(run, flag_dir, monkeypatch, arguments):
    """What fails is told in one line on stderr, without a traceback, and exits with 1."""
    monkeypatch.chdir(flag_dir.parent)

    result = run(*arguments)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert result.err.count("\n") == 1
    assert os.listdir() == ["flagged"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats"],
        ["nonsense"],
        ["stats", "flagged", "--nonsense"],
        ["export", "flagged", "out"],
        ["export", "flagged", "out", "--format", "xlsx"],
        ["export", "flagged", "out", "--format", "jsonl", "--since", "yesterday"],
        ["review", "flagged", "--auth", "ann"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_with_2(run, flag_dir, monkeypatch, arguments):
    """A call that makes no sense exits with 2 and says why on stderr."""
    monkeypatch.chdir(flag_dir.parent)

    result = run(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", ["stats", "check", "export", "adopt", "review"])
def test_help_has_an_example(run, command):
    """The help of every command shows a call of it."""
    result = run(command, "--help")

    assert result.code == 0
    assert f"Example: flagplus {command} " in result.out


def test_review_is_launched_with_its_options(run, flag_dir, monkeypatch):
    """`review` hands over the directory, the address and who may come in."""
    from types import ModuleType

    calls: list[tuple] = []
    review = ModuleType("gradio_flagplus.review")
    review.launch = lambda directory, **options: calls.append((directory, options))
    monkeypatch.setitem(sys.modules, "gradio_flagplus.review", review)

    result = run("review", flag_dir, "--host", "127.0.0.1", "--port", "7999", "--auth", "ann:a:b")

    assert result.code == 0
    assert calls == [(flag_dir, {"host": "127.0.0.1", "port": 7999, "auth": ("ann", "a:b")})]


def test_the_module_is_the_command(flag_dir):
    """`python -m gradio_flagplus` does what `flagplus` does, whatever the terminal can show."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}

    result = spawn("-m", "gradio_flagplus", "stats", str(flag_dir), env=env)

    assert (result.returncode, result.stderr) == (0, "")
    assert "Flags" in result.stdout


def test_a_bar_is_shown_on_a_terminal_only(run, flag_dir, monkeypatch):
    """On a terminal a progress bar runs on stderr and is gone at the end; elsewhere there is none."""
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gradio_flagplus", "stats", str(flag_dir), "--json"],
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "TERM": "xterm"},
    )
    out, _ = process.communicate(timeout=60)
    os.close(other)
    shown = os.read(main, 1 << 16)
    os.close(main)

    assert json.loads(out)["flags"] == 3
    assert b"Counting" in shown
    assert b"3/3" in shown
