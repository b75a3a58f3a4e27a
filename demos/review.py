# The page on which people look through flags, decide about them and export them.
#
#     python demos/review.py                  makes flagged-shapes/ where you started it, and shows it
#     python demos/review.py flagged          shows the flags of your own app; so does `flagplus review flagged`
#
# Press: a line of the list, or j and k; "accepted"; the tabs "Overview" and "Export".
# Find flagged-shapes/reviews.csv, with a row for each decision.
"""A real flagged directory, of an app that guesses shapes, and the page to review it."""

import sys
from pathlib import Path

import gradio as gr
from PIL import Image, ImageDraw

from gradio_flagplus import FlagLogger, review_page

SHAPES = ["circle", "square", "triangle"]
COLOURS = ["teal", "orange", "purple", "crimson"]
SAID = [
    (["wrong"], "ann", "that is not what I drew"),
    (["wrong", "unsure"], "bob", ""),
    (["unsure"], "ann", "right, but it was not sure"),
    ([], "cem", "well guessed"),
]


def draw(shape, colour):
    """A picture of the shape."""
    picture = Image.new("RGB", (240, 160), "white")
    corners = [(80, 120), (160, 120), (120, 40)] if shape == "triangle" else [(80, 40), (160, 120)]
    pen = ImageDraw.Draw(picture)
    {"circle": pen.ellipse, "square": pen.rectangle, "triangle": pen.polygon}[shape](corners, fill=colour)
    return picture


def make_flags(directory):
    """Flag twelve guesses, half of them wrong, as the visitors of an app would."""
    logger = FlagLogger(reasons=["wrong", "unsure"], comment=True, timestamp=True)
    logger.setup([gr.Image(label="Picture"), gr.Textbox(label="Guess"), gr.JSON(label="Scores")], directory)
    for turn in range(12):
        reasons, visitor, comment = SAID[turn % 4]
        shape = SHAPES[turn % 3]
        guess = SHAPES[(turn + 1) % 3] if "wrong" in reasons else shape
        sure = 0.4 if "unsure" in reasons else 0.9
        scores = {name: sure if name == guess else round((1 - sure) / 2, 2) for name in SHAPES}
        logger.flag([draw(shape, COLOURS[turn % 4]), guess, scores], reasons, visitor, comment)


directory = Path(sys.argv[1] if len(sys.argv) > 1 else "flagged-shapes")
if len(sys.argv) == 1 and not directory.exists():
    make_flags(directory)

demo = review_page(directory)

if __name__ == "__main__":
    demo.launch()
