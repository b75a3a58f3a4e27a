"""`python -m gradio_flagplus` is the command `flagplus`."""

from .cli import main

main()
