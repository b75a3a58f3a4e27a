"""FlagLogger without a server: its columns, its options, what it refuses. Live apps are tested in test_live."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from logs import snapshot

from gradio_flagplus import Flag, FlagLogger, FlagplusError, NotSetUp, UnknownReason, WrongValues, read_flags

Make = Callable[..., FlagLogger]


@pytest.fixture
def make(flag_dir: Path) -> Make:
    """A logger with these options, set up for a prompt and an answer."""

    def _make(components: list[Any] | None = None, **options: Any) -> FlagLogger:
        logger = FlagLogger(**options)
        logger.setup(components or [gr.Textbox(label="prompt"), gr.Number(label="answer")], flag_dir)
        return logger

    return _make


def text(directory: Path, name: str = "logs.csv") -> list[str]:
    """The lines of a log."""
    return (directory / name).read_bytes().decode().split("\r\n")[:-1]


def test_setup_touches_nothing(make, flag_dir):
    """Setting up creates nothing on disk."""
    make()
    assert not flag_dir.exists()


def test_without_options_there_are_the_components_columns_only(make, flag_dir):
    """Nothing is added that nobody asked for, and flag() returns the number of flags."""
    logger = make()
    assert [logger.flag(["a", 1]), logger.flag(["b", -1.5], ""), logger.flag(["c", None], None, "", "")] == [1, 2, 3]
    assert text(flag_dir) == ["prompt,answer", "a,1", "b,-1.5", "c,"]


class TestReasons:
    """One reason, several, declared or not, joined or one-hot."""

    def test_the_column_comes_with_the_first_reason(self, make, flag_dir):
        """A reason that comes late begins a log that has the column."""
        logger = make()
        logger.flag(["a", 1])
        logger.flag(["b", 2], "wrong")

        assert text(flag_dir) == ["prompt,answer", "a,1"]
        assert text(flag_dir, "logs-2.csv") == ["prompt,answer,flag", "b,2,wrong"]

    def test_declared_reasons_have_their_column_from_the_start(self, make, flag_dir):
        """With `reasons` the column is there even for a flag without one."""
        logger = make(reasons=["wrong", "blurry"])
        logger.flag(["a", 1])
        logger.flag(["b", 2], ["wrong", "blurry", "wrong"])

        assert text(flag_dir) == ["prompt,answer,flag", "a,1,", "b,2,wrong|blurry"]
        assert [flag.reasons for flag in read_flags(flag_dir)] == [(), ("wrong", "blurry")]

    def test_one_hot(self, make, flag_dir):
        """One-hot reasons are a column each, holding 1 or 0."""
        logger = make(reasons=["wrong", "off by one"], reason_columns="one-hot")
        logger.flag(["a", 1], "off by one")
        logger.flag(["b", 2], ("wrong", "off by one"))
        logger.flag(["c", 3])

        assert text(flag_dir) == ["prompt,answer,flag: wrong,flag: off by one", "a,1,0,1", "b,2,1,1", "c,3,0,0"]
        assert [flag.reasons for flag in read_flags(flag_dir)] == [("off by one",), ("wrong", "off by one"), ()]

    def test_pandas_reads_the_joined_column(self, make, flag_dir):
        """`str.get_dummies` of the joined column gives a column a reason."""
        import pandas as pd

        logger = make()
        for reasons in (["wrong", "blurry"], "wrong", ["blurry"]):
            logger.flag(["a", 1], reasons)

        frame = pd.read_csv(flag_dir / "logs.csv")["flag"].str.get_dummies()
        assert frame.to_dict("list") == {"blurry": [1, 0, 1], "wrong": [1, 1, 0]}

    @pytest.mark.parametrize(
        ("options", "reason", "says"),
        [
            pytest.param({"reasons": ["wrong"]}, "great", "'great' is not a declared reason.*'wrong'", id="undeclared"),
            pytest.param({"reasons": ["wrong"]}, ["wrong", "great"], "'great'", id="one-of-several"),
            pytest.param({}, "a|b", r"'a\|b' holds a '\|'", id="bar"),
        ],
    )
    def test_a_reason_that_cannot_be_stored_is_refused_by_name(self, make, flag_dir, options, reason, says):
        """The error names the reason, and the row before stays as it was."""
        logger = make(**options)
        logger.flag(["a", 1], "wrong")
        before = snapshot(flag_dir)
        with pytest.raises(UnknownReason, match=says):
            logger.flag(["b", 2], reason)

        assert snapshot(flag_dir) == before

    @pytest.mark.parametrize(
        "options",
        [
            {"reason_columns": "one-hot"},
            {"reasons": ["a|b"]},
            {"reasons": "wrong"},
            {"reasons": ["wrong", "wrong"]},
            {"reasons": [""]},
            {"reason_columns": "many", "reasons": ["a"]},
            {"exclude": "prompt"},
            {"allowed_paths": "/tmp"},
            {"log_name": "../logs.csv"},
        ],
        ids=str,
    )
    def test_options_that_make_no_sense_are_refused_at_once(self, options):
        """A logger that could not work is not made."""
        with pytest.raises(ValueError, match=next(iter(options))):
            FlagLogger(**options)


class TestMeta:
    """Comment, user name, extra columns, names, id and time."""

    def test_all_of_them_stand_in_the_formats_order(self, make, flag_dir):
        """Reasons, comment, username, extras, id, timestamp: in this order, behind the components."""
        logger = make(
            timestamp=True, row_id=True, extra_columns={"model": "v2", "lr": 0.1}, comment=True, reasons=["x"]
        )
        logger.flag(["a", 1], "x", "ada", "see there")

        header, row = text(flag_dir)
        assert header == "prompt,answer,flag,comment,username,model,lr,id,timestamp"
        cells = row.split(",")
        assert cells[:7] == ["a", "1", "x", "see there", "ada", "v2", "0.1"]
        assert uuid.UUID(cells[7]).version == 4
        moment = datetime.fromisoformat(cells[8])
        assert moment.utcoffset() == timedelta(0)
        assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=1)

    def test_callables_are_asked_at_each_flag(self, make, flag_dir):
        """An extra column may be a callable; whatever it returns reads back as it was."""
        answers: list[object] = ["5", 5, None, {"a": [1]}, "text", True]
        queue = iter(answers)
        logger = make(extra_columns={"extra": lambda: next(queue)})
        for _ in answers:
            logger.flag(["a", 1])

        assert [flag["extra"] for flag in read_flags(flag_dir)] == answers

    def test_a_label_that_is_a_meta_name(self, make, flag_dir):
        """Components keep their labels; a meta column whose name is taken gets a number."""
        logger = make([gr.Textbox(label="flag"), gr.Textbox(label="username"), gr.Textbox(label="flag")])
        logger.flag(["a", "b", "c"], "wrong", "ada")

        assert text(flag_dir) == ["flag,username,flag_1,flag_2,username_1", "a,b,c,wrong,ada"]
        (flag,) = read_flags(flag_dir)
        assert (flag.reasons, flag.username, flag["flag"]) == (("wrong",), "ada", "a")

    def test_labels_that_are_missing(self, make, flag_dir):
        """A component without a label is named by its place among all components, the excluded ones counted."""
        components = [gr.Textbox(show_label=False), gr.Textbox(type="password"), gr.Textbox()]
        for component in components:
            component.label = None
        make(components).flag(["a", "b", "c"])

        assert text(flag_dir) == ["component 0,component 2", "a,c"]

    def test_on_flag_gets_what_reading_gives(self, make, flag_dir):
        """`on_flag` is called after the commit, with the flag as `read_flags` gives it."""
        seen: list[Flag] = []
        logger = make(on_flag=seen.append, timestamp=True, comment=True)
        logger.flag(["a", -1.5], ["wrong"], "ada", "=1+1")

        (read,) = read_flags(flag_dir)
        (told,) = seen
        for name in ("number", "log", "row", "values", "reasons", "comment", "username", "timestamp"):
            assert getattr(told, name) == getattr(read, name), name
        assert told.comment == "=1+1"

    def test_a_failing_on_flag_fails_nothing(self, make, flag_dir, caplog):
        """If `on_flag` raises, the flag stands, the caller gets its total, and the log has the traceback."""

        def broken(_flag: Flag) -> None:
            raise RuntimeError("no network")

        assert make(on_flag=broken).flag(["a", 1]) == 1
        assert text(flag_dir) == ["prompt,answer", "a,1"]
        assert "no network" in caplog.text


class TestPrivacy:
    """What is excluded, redacted or a password appears nowhere under the flagging directory."""

    def everything(self, directory: Path) -> bytes:
        return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())

    def test_passwords_and_excluded_columns(self, make, flag_dir):
        """Neither the value nor a column for it is there."""
        components = [gr.Textbox(label="user"), gr.Textbox(label="key", type="password"), gr.Textbox(label="notes")]
        make(components, exclude=["notes"]).flag(["ada", "hunter2", "top secret"])

        assert text(flag_dir) == ["user", "ada"]
        assert not re.search(b"hunter2|top secret", self.everything(flag_dir))

    def test_redact_sees_every_text_first(self, make, flag_dir):
        """Text cells, nested text, comments, names and extra columns: none of them touches the disk as it was."""
        seen: set[str] = set()

        def redact(column: str, value: str) -> str:
            seen.add(column)
            return value.replace("4711", "****")

        components = [gr.Textbox(label="prompt"), gr.JSON(label="data"), gr.State({"pin": ["4711"]})]
        logger = make(components, redact=redact, extra_columns={"host": "host-4711", "n": lambda: "4711"}, comment=True)
        logger.flag(["pin 4711", {"deep": [{"er": "4711"}]}, {"pin": ["4711"]}], "wrong", "user4711", "it is 4711")

        assert b"4711" not in self.everything(flag_dir)
        assert seen >= {"prompt", "data", "component 2", "comment", "username", "host", "n"}

    def test_a_redact_that_fails_stores_nothing(self, make, flag_dir):
        """If `redact` raises or returns no text, nothing is stored."""
        with pytest.raises(WrongValues, match="redact"):
            make(redact=lambda column, value: None).flag(["secret", 1])
        with pytest.raises(ZeroDivisionError):
            make(redact=lambda column, value: str(1 / 0)).flag(["secret", 1])

        assert b"secret" not in (self.everything(flag_dir) if flag_dir.exists() else b"")

    def test_an_excluded_label_that_nobody_has_is_refused(self, flag_dir):
        """A typo in `exclude` must not store what was meant to stay out: it is refused at start-up."""
        with pytest.raises(ValueError, match=r"'pasword'.*'password'"):
            FlagLogger(exclude=["pasword"]).setup([gr.Textbox(label="password")], flag_dir)


class TestMistakes:
    """A mistake gets an error that says what to do, is logged with its traceback, and costs nothing."""

    def test_without_setup(self, caplog):
        """Forgetting setup() is said, with the line to add."""
        with pytest.raises(NotSetUp, match=r"logger\.setup\("):
            FlagLogger().flag(["a"])
        assert "Traceback" in caplog.text

    @pytest.mark.parametrize("values", [[], ["a"], ["a", 1, 2], ["a", 1, "b", 1]], ids=len)
    def test_the_wrong_number_of_values(self, make, flag_dir, values):
        """Too few or too many values are counted in the error, and nothing is written."""
        with pytest.raises(
            WrongValues, match=rf"{len(values)} values were flagged for 2 components \[prompt, answer\]"
        ):
            make().flag(values)
        assert not (flag_dir / "logs.csv").exists()

    def test_values_given_twice(self, make, flag_dir):
        """The same values twice over, as a unified Interface gives them, are one flag."""
        make().flag(["a", 1, "a", 1])
        assert text(flag_dir) == ["prompt,answer", "a,1"]

    def test_one_logger_for_two_interfaces(self, make, flag_dir, tmp_path):
        """A second set-up for other components or another directory is refused and changes nothing."""
        logger = make()
        with pytest.raises(NotSetUp, match="one FlagLogger per Interface"):
            logger.setup([gr.Textbox(label="other")], flag_dir)
        with pytest.raises(NotSetUp, match="one FlagLogger per Interface"):
            logger.setup([gr.Textbox(label="prompt"), gr.Number(label="answer")], tmp_path / "elsewhere")
        logger.flag(["a", 1])

        assert text(flag_dir) == ["prompt,answer", "a,1"]

    def test_set_up_again_for_the_same(self, make, flag_dir):
        """A notebook cell that is run twice sets up the same logger for equal components, and goes on."""
        logger = make()
        logger.flag(["a", 1])
        logger.setup([gr.Textbox(label="prompt"), gr.Number(label="answer")], flag_dir)
        assert logger.flag(["b", 2]) == 2

    def test_an_unwritable_folder_is_a_warning_first(self, tmp_path, caplog):
        """Set-up warns with the path and lets the app start; the first flag raises with the path."""
        (tmp_path / "file").write_text("in the way")
        logger = FlagLogger()
        with caplog.at_level(logging.WARNING, "gradio_flagplus"):
            logger.setup([gr.Textbox(label="a")], tmp_path / "file" / "flagged")
        assert str(tmp_path / "file") in caplog.text
        with pytest.raises(FlagplusError, match="file"):
            logger.flag(["a"])

    def test_a_relative_directory_stays_where_it_was(self, monkeypatch, tmp_path):
        """A directory given by a relative path is the one it was at set-up, even if the process moves on."""
        monkeypatch.chdir(tmp_path)
        logger = FlagLogger()
        logger.setup([gr.Textbox(label="a")], "flagged")
        (tmp_path / "away").mkdir()
        monkeypatch.chdir(tmp_path / "away")
        logger.flag(["x"])

        assert text(tmp_path / "flagged") == ["a", "x"]
