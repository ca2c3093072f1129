"""Configuration of Sphinx; ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

from skbn import __version__

project = "skbn"
author = "The skbn developers"
copyright = f"2026, {author}"
release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "_templates", "examples"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "skbn"
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}

autosummary_generate = True
# Methods stand on the page of their class: _templates/autosummary/class.rst.
numpydoc_show_class_members = False

myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # README.md links to files beside it


def setup(app):
    app.connect("autodoc-skip-member", skip_methods_of_scikit_learn)


def skip_methods_of_scikit_learn(app, what, name, obj, skip, options):
    """Leave out what a base class of scikit-learn brings, such as ``get_params``."""
    return (getattr(obj, "__module__", None) or "").startswith("sklearn.") or None
