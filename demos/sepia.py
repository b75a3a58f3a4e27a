# The sepia filter of Gradio's guide "Flagging".
#
# Press: drop a picture on "im", "Submit", then "Flag".
# Find, where you started it, flagged/logs.csv and the pictures that it names:
#
#     im,Output
#     im/0.png,Output/0.png
#
# im/0.png is your file, byte for byte (its ending is the one you uploaded); Output/0.png is a PNG of what you saw.
"""A picture filter that keeps what you flag: a row, and both pictures beside it."""

import gradio as gr
import numpy as np

from gradio_flagplus import FlagLogger

SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def sepia(im):
    """The picture in brown tones."""
    return np.clip(im @ SEPIA.T, 0, 255).astype(np.uint8)


demo = gr.Interface(
    sepia,
    gr.Image(),
    gr.Image(label="Output"),
    flagging_dir="flagged",
    flagging_callback=FlagLogger(),
)

if __name__ == "__main__":
    demo.launch()
