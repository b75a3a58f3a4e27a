# Mode "auto" keeps every submission without a button; who was logged in, and when, goes with it.
#
# Press: log in as ada with the password lovelace (or grace / hopper); "the quick brown fox", "Submit".
# Find, where you started it, flagged/logs.csv:
#
#     text,words,characters,username,timestamp
#     the quick brown fox,4,19,ada,2026-11-22T20:44:55.123+00:00
"""A word counter that keeps every submission, with the user's name and the time."""

import gradio as gr

from gradio_flagplus import FlagLogger

# Gradio 5 gave the parameter a new name.
MODE = "allow_flagging" if gr.__version__.startswith("4.") else "flagging_mode"


def count(text):
    """How many words and characters a text has."""
    return len(text.split()), len(text)


demo = gr.Interface(
    count,
    "text",
    [gr.Number(label="words"), gr.Number(label="characters")],
    flagging_dir="flagged",
    flagging_callback=FlagLogger(timestamp=True),
    **{MODE: "auto"},
)

if __name__ == "__main__":
    demo.launch(auth=[("ada", "lovelace"), ("grace", "hopper")])
