"""The figures of the pages, drawn at the beginning of a build from the numbers in docs/results."""

from pathlib import Path


def setup(app):
    app.connect("builder-inited", lambda app: draw_all(Path(app.srcdir)))
    return {"parallel_read_safe": True}


def draw_all(docs):
    """Draw every figure into ``images/generated`` of `docs`."""
    directory = docs / "images" / "generated"
    directory.mkdir(parents=True, exist_ok=True)
