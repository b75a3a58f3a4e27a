# Several reasons and a comment with one flag: `flag_panel` puts them under any app, in one line.
#
# Press: drop a picture on "Picture", "Submit", tick "too dark" and "lost detail", type "the roof is gone", "Flag".
# Find, where you started it, flagged/logs.csv and the pictures that it names:
#
#     Picture,Posterised,flag,comment
#     Picture/0.png,Posterised/0.png,too dark|lost detail,the roof is gone
#
# `logger.setup()` is done by the panel. `python demos/review.py flagged` lets you look through what was flagged.
"""A picture filter, and a panel to say what is wrong with its pictures."""

import gradio as gr

from gradio_flagplus import FlagLogger, flag_panel

# The panel brings a button of its own. Gradio 4 calls the parameter that hides Gradio's another name.
never = {"flagging_mode" if int(gr.__version__.split(".")[0]) > 4 else "allow_flagging": "never"}


def posterise(picture):
    """The picture in four shades of each colour."""
    return picture // 64 * 64


demo = gr.Interface(posterise, gr.Image(label="Picture"), gr.Image(label="Posterised"), **never)

with demo:
    flag_panel(
        FlagLogger(reasons=["too dark", "lost detail", "wrong colours"], comment=True),
        [*demo.input_components, *demo.output_components],
        flagging_dir="flagged",
    )

if __name__ == "__main__":
    demo.launch()
