# The calculator of Gradio's guide "Flagging".
#
# Press: 5, add, 7, "Submit", then "Flag".
# Find, where you started it, flagged/logs.csv:
#
#     num1,operation,num2,Output
#     5,add,7,12
"""A calculator that keeps what you flag, one row a flag."""

import gradio as gr

from gradio_flagplus import FlagLogger


def calculator(num1, operation, num2):
    """Two numbers and what to do with them."""
    if operation == "add":
        return num1 + num2
    if operation == "subtract":
        return num1 - num2
    if operation == "multiply":
        return num1 * num2
    if num2 == 0:
        raise gr.Error("Nothing can be divided by zero.")
    return num1 / num2


demo = gr.Interface(
    calculator,
    ["number", gr.Radio(["add", "subtract", "multiply", "divide"]), "number"],
    gr.Number(label="Output"),
    flagging_dir="flagged",
    flagging_callback=FlagLogger(),
)

if __name__ == "__main__":
    demo.launch()
