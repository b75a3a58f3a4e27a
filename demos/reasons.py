# Reasons: a button for each, and a column for each, ready for counting.
#
# Press: "Phhw ph dw wkh vwdwlrq", "Submit", "Readable"; then "Khoor, zruog!", "Submit", "Still gibberish".
# Find, where you started it, flagged/logs.csv:
#
#     secret,Output,flag: wrong,flag: right
#     Phhw ph dw wkh vwdwlrq,Meet me at the station,0,1
#     "Khoor, zruog!","Ebiil, tloia!",1,0
#
# A button says the first half of its pair, the log keeps the second. `reason_columns="joined"` (the default) would
# write one column `flag` instead.
"""A code breaker that errs on short texts: people say when."""

import math

import gradio as gr

from gradio_flagplus import FlagLogger

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# How often each of them stands in English text, in percent.
FREQUENCY = {
    "a": 8.2, "b": 1.5, "c": 2.8, "d": 4.3, "e": 12.7, "f": 2.2, "g": 2, "h": 6.1, "i": 7,
    "j": 0.2, "k": 0.8, "l": 4, "m": 2.4, "n": 6.7, "o": 7.5, "p": 1.9, "q": 0.1, "r": 6,
    "s": 6.3, "t": 9.1, "u": 2.8, "v": 1, "w": 2.4, "x": 0.2, "y": 2, "z": 0.1,
}  # fmt: skip


def shifted(text, by):
    """`text` with each letter moved `by` places back in the alphabet."""
    moved = LETTERS[-by:] + LETTERS[:-by]
    return text.translate(str.maketrans(LETTERS + LETTERS.upper(), moved + moved.upper()))


def likeness(text):
    """How much the letters of `text` look like English: the logarithm of their likelihood."""
    return sum(math.log(FREQUENCY[c]) for c in text.lower() if c in FREQUENCY)


def crack(secret):
    """The shift of the alphabet that reads most like English."""
    return max((shifted(secret, by) for by in range(26)), key=likeness)


demo = gr.Interface(
    crack,
    gr.Textbox(label="secret"),
    gr.Textbox(label="Output"),
    flagging_dir="flagged",
    flagging_options=[("Still gibberish", "wrong"), ("Readable", "right")],
    flagging_callback=FlagLogger(reasons=["wrong", "right"], reason_columns="one-hot"),
)

if __name__ == "__main__":
    demo.launch()
