"""Interfaces on a live server, flagged through the endpoint that the page's Flag button uses."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pandas as pd
import pytest
from live import GENERATION, Tab, interface
from PIL import Image

from gradio_flagplus import FlagLogger, NotSetUp

Open = Callable[..., Tab]


def calculator(num1: float, operation: str, num2: float) -> float:
    return num1 + num2 if operation == "add" else num1 - num2


def calculator_app(flag_dir: Path, logger: FlagLogger | None = None, **options: object) -> gr.Interface:
    return interface(
        calculator,
        ["number", gr.Radio(["add", "subtract"]), "number"],
        gr.Number(label="Output"),
        flagging_dir=str(flag_dir),
        flagging_callback=logger or FlagLogger(),
        **options,
    )


def calculate(tab: Tab, num1: float, operation: str, num2: float) -> None:
    tab.fill(num1=num1, operation=operation, num2=num2)
    tab.press("Submit")


def log(flag_dir: Path) -> str:
    return (flag_dir / "logs.csv").read_bytes().decode()


def rows(flag_dir: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(log(flag_dir), newline="")))


def pixels(source: object) -> np.ndarray:
    with Image.open(source) as image:
        return np.asarray(image.convert("RGB"))


# ---- the guide's two examples


def test_the_calculator_leaves_what_the_guide_promises(open_app: Open, flag_dir: Path) -> None:
    """The guide's calculator leaves the guide's log, byte for byte, and nothing else that a person sees."""
    tab = open_app(calculator_app(flag_dir))

    calculate(tab, 5, "add", 7)
    assert tab.press("Flag") == "Flag"
    calculate(tab, 6, "subtract", 1.5)
    assert tab.press("Flag") == "Flag"

    assert log(flag_dir) == "num1,operation,num2,Output\r\n5,add,7,12\r\n6,subtract,1.5,4.5\r\n"
    assert sorted(path.name for path in flag_dir.iterdir()) == [".flagplus", "logs.csv"]
    assert pd.read_csv(flag_dir / "logs.csv")["Output"].tolist() == [12, 4.5]


def test_sepia_leaves_both_pictures_beside_the_row(open_app: Open, flag_dir: Path, picture: Path) -> None:
    """The uploaded picture is kept byte for byte, the shown one as a PNG with the very pixels that were shown."""
    app = interface(
        lambda im: im[::-1] // 2,
        gr.Image(label="im"),
        gr.Image(label="Output"),
        flagging_dir=str(flag_dir),
        flagging_callback=FlagLogger(),
    )
    tab = open_app(app)

    for number in (0, 1):
        tab.fill(im=tab.upload(picture))
        tab.press("Submit")
        assert tab.press("Flag") == "Flag"

        assert (flag_dir / f"im/{number}.png").read_bytes() == picture.read_bytes()
        kept = flag_dir / f"Output/{number}.png"
        assert kept.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert np.array_equal(pixels(kept), pixels(io.BytesIO(tab.fetch(tab.shown("Output")))))

    assert log(flag_dir) == "im,Output\r\nim/0.png,Output/0.png\r\nim/1.png,Output/1.png\r\n"


# ---- reasons, names, times


@pytest.mark.parametrize(
    ("options", "button"),
    [
        pytest.param(["wrong", "off by one"], "Flag as off by one", id="list"),
        pytest.param([("Bad!", "wrong"), ("Nearly", "off by one")], "Nearly", id="tuples"),
    ],
)
def test_the_reason_stands_in_the_column_flag(
    open_app: Open, flag_dir: Path, options: list[object], button: str
) -> None:
    """Whichever way the options are given, the log keeps the value of the button that was pressed."""
    tab = open_app(calculator_app(flag_dir, flagging_options=options))
    calculate(tab, 5, "add", 7)

    assert tab.press(button) == button

    assert rows(flag_dir) == [["num1", "operation", "num2", "Output", "flag"], ["5", "add", "7", "12", "off by one"]]


def test_one_hot_reasons_have_a_column_each(open_app: Open, flag_dir: Path) -> None:
    """Each declared reason has a column that holds 1 in the rows that it was given for, and 0 in the others."""
    logger = FlagLogger(reasons=["wrong", "off by one"], reason_columns="one-hot")
    tab = open_app(calculator_app(flag_dir, logger, flagging_options=["wrong", "off by one"]))
    calculate(tab, 5, "add", 7)

    tab.press("Flag as off by one")
    tab.press("Flag as wrong")

    assert [row[4:] for row in rows(flag_dir)] == [["flag: wrong", "flag: off by one"], ["0", "1"], ["1", "0"]]


def test_an_undeclared_reason_is_refused_by_name(
    open_app: Open, flag_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A button whose reason was not declared says "Error!", the server's log says which, and nothing is written."""
    tab = open_app(calculator_app(flag_dir, FlagLogger(reasons=["wrong"]), flagging_options=["wrong", "ugly"]))
    calculate(tab, 5, "add", 7)

    assert tab.press("Flag as ugly") == "Error!"

    assert "'ugly'" in caplog.text
    assert not flag_dir.exists()


def test_the_users_name_is_kept_under_auth(open_app: Open, flag_dir: Path) -> None:
    """Who was logged in stands in the column `username`."""
    tab = open_app(calculator_app(flag_dir), auth=("ada", "lovelace"))
    calculate(tab, 5, "add", 7)

    tab.press("Flag")

    assert rows(flag_dir) == [["num1", "operation", "num2", "Output", "username"], ["5", "add", "7", "12", "ada"]]


# ---- modes


def test_auto_mode_keeps_every_submission(open_app: Open, flag_dir: Path) -> None:
    """In `auto` mode each submission is a row, inputs and outputs, and no reason is made up."""
    tab = open_app(calculator_app(flag_dir, mode="auto"))

    calculate(tab, 5, "add", 7)
    calculate(tab, 6, "subtract", 1.5)

    assert "Flag" not in tab.buttons()
    assert log(flag_dir) == "num1,operation,num2,Output\r\n5,add,7,12\r\n6,subtract,1.5,4.5\r\n"


def test_never_mode_keeps_nothing(open_app: Open, flag_dir: Path) -> None:
    """In mode `never` there is no button and nothing on disk."""
    tab = open_app(calculator_app(flag_dir, mode="never"))

    calculate(tab, 5, "add", 7)

    assert "Flag" not in tab.buttons()
    assert not flag_dir.exists()


# ---- every kind of Interface


def test_a_live_interface_keeps_what_is_shown(open_app: Open, flag_dir: Path) -> None:
    """With `live=True` there is no submit button; the flag keeps the values of the moment."""
    app = interface(
        lambda text: text.upper(),
        gr.Textbox(label="text"),
        gr.Textbox(label="Output"),
        live=True,
        flagging_dir=str(flag_dir),
        flagging_callback=FlagLogger(),
    )
    tab = open_app(app)
    tab.fill(text="a")
    tab.fill(text="ab")

    assert tab.press("Flag") == "Flag"

    assert rows(flag_dir) == [["text", "Output"], ["ab", "AB"]]


@pytest.mark.parametrize("mode", ["manual", "auto"])
def test_a_unified_interface_has_one_column(open_app: Open, flag_dir: Path, mode: str) -> None:
    """Where input and output are one component it has one column, though `auto` mode passes its value twice."""
    story = gr.Textbox(label="story")
    app = interface(
        lambda text: f"{text}, and",
        story,
        story,
        mode=mode,
        flagging_dir=str(flag_dir),
        flagging_callback=FlagLogger(),
    )
    tab = open_app(app)
    tab.fill(story="Once")

    tab.press("Submit")
    if mode == "manual":
        assert tab.press("Flag") == "Flag"

    assert rows(flag_dir) == [["story"], ["Once, and"]]


def test_an_output_only_interface_keeps_its_outputs(open_app: Open, flag_dir: Path) -> None:
    """An Interface without inputs has its outputs' columns only."""
    app = interface(
        lambda: "six", None, gr.Textbox(label="die"), flagging_dir=str(flag_dir), flagging_callback=FlagLogger()
    )
    tab = open_app(app)

    tab.press("Generate")
    assert tab.press("Flag") == "Flag"

    assert rows(flag_dir) == [["die"], ["six"]]


def test_state_is_kept_as_json(open_app: Open, flag_dir: Path) -> None:
    """A State is a column of JSON: its live value, or nothing on Gradio 4, which keeps it from callbacks."""
    app = interface(
        lambda step, past: (sum([*past, step]), [*past, step]),
        [gr.Number(label="step"), gr.State([])],
        [gr.Number(label="total"), gr.State()],
        flagging_dir=str(flag_dir),
        flagging_callback=FlagLogger(),
    )
    tab = open_app(app)
    tab.fill(step=3)
    tab.press("Submit")

    assert tab.press("Flag") == "Flag"

    header, row = rows(flag_dir)
    assert (header[0], header[2]) == ("step", "total")
    assert (row[0], row[2]) == ("3", "3")
    # An Interface with a State on both sides has one State: its value after the submission is flagged for both.
    assert [row[1], row[3]] == (["", ""] if GENERATION == 4 else ["[3]", "[3]"])


def test_tabs_with_a_logger_each_stay_apart(open_app: Open, tmp_path: Path) -> None:
    """Each tab's flags go to its own directory."""
    one, two = (
        interface(
            lambda text: text[::-1],
            gr.Textbox(label=f"{name} in"),
            gr.Textbox(label=f"{name} out"),
            flagging_dir=str(tmp_path / name),
            flagging_callback=FlagLogger(),
        )
        for name in ("one", "two")
    )
    tab = open_app(gr.TabbedInterface([one, two], ["one", "two"]))

    for nth, name in enumerate(("one", "two")):
        tab.fill(f"{name} in", name)
        tab.press("Submit", nth=nth)
        assert tab.press("Flag", nth=nth) == "Flag"

    assert rows(tmp_path / "one") == [["one in", "one out"], ["one", "eno"]]
    assert rows(tmp_path / "two") == [["two in", "two out"], ["two", "owt"]]


def test_two_components_with_one_label_have_a_column_each(open_app: Open, flag_dir: Path) -> None:
    """The second column of a name gets `_1`, and so does its folder."""
    app = interface(
        lambda a, b: f"{a}{b}",
        [gr.Textbox(label="text"), gr.Textbox(label="text")],
        gr.Textbox(label="text"),
        flagging_dir=str(flag_dir),
        flagging_callback=FlagLogger(),
    )
    tab = open_app(app)
    tab.fill("text", "a", nth=0)
    tab.fill("text", "b", nth=1)
    tab.press("Submit")

    tab.press("Flag")

    assert rows(flag_dir) == [["text", "text_1", "text_2"], ["a", "b", "ab"]]


# ---- when something is wrong


def test_a_second_interface_is_refused_at_start_up(flag_dir: Path, tmp_path: Path) -> None:
    """A logger that serves one Interface says so when another is made with it."""
    logger = FlagLogger()
    calculator_app(flag_dir, logger)

    with pytest.raises(NotSetUp, match="one FlagLogger per Interface"):
        calculator_app(tmp_path / "elsewhere", logger)


def test_a_notebook_cell_run_twice_goes_on(open_app: Open, flag_dir: Path) -> None:
    """The same Interface made again with the same logger goes on in the same log."""
    logger = FlagLogger()
    for _ in range(2):
        tab = open_app(calculator_app(flag_dir, logger))
        calculate(tab, 5, "add", 7)
        assert tab.press("Flag") == "Flag"

    assert rows(flag_dir)[1:] == [["5", "add", "7", "12"]] * 2


def test_an_unwritable_directory_does_not_keep_the_app_from_starting(
    open_app: Open, flag_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The app starts with a warning and works; the flag fails with the path, and works once the folder does."""
    flag_dir.write_text("a file in the way")
    inside = flag_dir / "flagged"
    tab = open_app(calculator_app(inside))
    assert str(inside) in caplog.text
    caplog.clear()

    calculate(tab, 5, "add", 7)
    assert tab.shown("Output") == 12
    assert tab.press("Flag") == "Error!"
    assert str(flag_dir) in caplog.text

    flag_dir.unlink()
    assert tab.send("Flag", [5, "add", 7, 12]) == "Flag"
    assert rows(inside)[1:] == [["5", "add", "7", "12"]]


def test_sixteen_first_clicks_at_once_are_sixteen_rows(serve: Callable[..., str], flag_dir: Path) -> None:
    """Many people pressing Flag at the same moment, on a directory that does not exist yet, lose nothing."""
    url = serve(calculator_app(flag_dir))
    tabs, together = [Tab(url) for _ in range(16)], threading.Barrier(16)
    said: list[str] = []

    def click(number: int) -> None:
        with tabs[number] as tab:
            together.wait()
            said.append(tab.send("Flag", [number, "add", 0, number]))

    clicks = [threading.Thread(target=click, args=[number]) for number in range(16)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()

    assert said == ["Flag"] * 16
    assert sorted(int(row[0]) for row in rows(flag_dir)[1:]) == list(range(16))
    assert [path.name for path in flag_dir.glob("*.csv")] == ["logs.csv"]
