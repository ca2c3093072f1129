"""What the gallery needs beside sphinx-gallery: pictures in files, and warnings as errors."""

import shutil
import warnings
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst


class Order:
    """The order of the examples, a key for ``sorted``: the quickstart, then by name."""

    def __init__(self, directory):
        pass

    def __call__(self, name):
        return (name != "quickstart.py", name)

    def __repr__(self):
        return "Order()"


def scrape_files(block, variables, configuration):
    """Move the PNG files that an example wrote beside itself to its pictures."""
    pictures = []
    for file in sorted(Path(variables["src_file"]).parent.glob("*.png")):
        picture = next(variables["image_path_iterator"])
        shutil.move(file, picture)
        pictures.append(picture)
    return figure_rst(pictures, configuration["src_dir"])


_filters = []


def warnings_are_errors(configuration, name, when):
    """Run each example with warnings as errors, like the tests."""
    if when == "before":
        _filters.append(warnings.catch_warnings())
        _filters[-1].__enter__()
        warnings.simplefilter("error")
    elif _filters:
        _filters.pop().__exit__(None, None, None)
