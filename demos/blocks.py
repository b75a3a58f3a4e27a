# In gr.Blocks nobody calls `setup()` for you, and events hand over what `preprocess` made of the values:
# so call `setup()` yourself and give the flag event `preprocess=False`.
#
# Press: drop a picture on "Picture", move "Threshold", "Draw", then "Keep".
# Find, where you started it, flagged/logs.csv and the pictures that it names:
#
#     Picture,Threshold,Drawing
#     Picture/0.png,128,Drawing/0.png
"""A Blocks app that keeps what you flag, its settings included."""

import gradio as gr
import numpy as np

from gradio_flagplus import FlagLogger


def draw(picture, threshold):
    """The picture in black and white: black where it is darker than the threshold."""
    if picture is None:
        raise gr.Error("Drop a picture first.")
    return np.where(picture.mean(axis=2) < threshold, 0, 255).astype(np.uint8)


logger = FlagLogger()

with gr.Blocks() as demo:
    with gr.Row():
        picture = gr.Image(label="Picture")
        drawing = gr.Image(label="Drawing")
    threshold = gr.Slider(0, 255, 128, step=1, label="Threshold")
    with gr.Row():
        draw_button = gr.Button("Draw", variant="primary")
        keep_button = gr.Button("Keep")
    kept = gr.Markdown()

    draw_button.click(draw, [picture, threshold], drawing)

    flagged = [picture, threshold, drawing]
    logger.setup(flagged, "flagged")
    keep_button.click(lambda *v: f"{logger.flag(list(v))} kept", flagged, kept, preprocess=False)

if __name__ == "__main__":
    demo.launch()
