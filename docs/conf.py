"""Configuration of Sphinx; ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))  # the extensions of this directory

# Before Matplotlib is imported: the build has no display.
os.environ["MPLBACKEND"] = "agg"

import inventories  # noqa: E402

from skbn import __version__  # noqa: E402

project = "skbn"
author = "The skbn developers"
copyright = f"2026, {author}"
release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the scripts are part of the pages
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "inventories",
    "figures",  # before the gallery: the pages of both are read with their pictures
    "sphinx_gallery.gen_gallery",
    "cython_sources",
]
toc_object_entries_show_parents = "hide"
exclude_patterns = ["_build", "_templates", "examples", "results/*.json"]
templates_path = ["_templates"]
nitpicky = True

# The theme ---------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skbn"
html_static_path = ["_static"]
html_css_files = ["skbn.css"]
html_theme_options = {
    "logo": {"text": "skbn"},
    "navigation_with_keys": True,
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Pages without a section have no sidebar at their left.
html_sidebars = {"index": [], "install": [], "questions": [], "mathematics": []}
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"  # prompts and outputs are not copied

# The API -----------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types, with shapes and units
# A build of the pages needs no PyTorch.
autodoc_mock_imports = ["torch"]
# Methods stand on the page of their class: _templates/autosummary/class.rst.
numpydoc_show_class_members = False

# Other projects: names and addresses are in docs/_inventories ------------------------------

intersphinx_mapping = inventories.mapping(DOCS / "_inventories", DOCS / "_build" / "inventories")
intersphinx_disabled_reftypes = ["std:doc"]

# The gallery -------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/(plot_\w+|quickstart)\.py$",
    "ignore_pattern": r"^csv_tables\.py$",  # the quickstart imports it
    "within_subsection_order": "gallery.Order",
    "image_scrapers": ("matplotlib", "gallery.scrape_files"),
    "reset_modules": ("matplotlib", "gallery.warnings_are_errors"),
    "reset_modules_order": "both",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skbn",),
    "min_reported_time": 1,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "parallel": False,
    "log_level": {"backreference_missing": "debug"},
}


def setup(app):
    app.connect("autodoc-skip-member", skip_methods_of_scikit_learn)


def skip_methods_of_scikit_learn(app, what, name, obj, skip, options):
    """Leave out what a base class of scikit-learn brings, such as ``get_params``."""
    return (getattr(obj, "__module__", None) or "").startswith("sklearn.") or None
