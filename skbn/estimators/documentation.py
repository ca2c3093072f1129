"""The link from the HTML representation of an estimator to its page in the documentation."""

from skbn.versions import __version__

PAGES = "https://skbn.readthedocs.io/en/{edition}/api/generated/skbn.{{estimator_name}}.html"


def edition(version: str) -> str:
    """The edition of the documentation that describes a version of the package.

    Parameters
    ----------
    version : str
        A version as PEP 440 writes it, or "unknown".

    Returns
    -------
    edition : str
        "v" and the version for a release, otherwise "latest", the documentation of the newest
        source.
    """
    is_release = all(part.isdecimal() for part in version.split("."))
    return f"v{version}" if is_release else "latest"


class DocumentationLinkMixin:
    """Mixin that tells scikit-learn the address of the documentation of an estimator.

    scikit-learn writes the link into the HTML representation, together with the names and the
    descriptions of the parameters. A class from another package that inherits from an
    estimator has no link.
    """

    _doc_link_module = "skbn"
    _doc_link_template = PAGES.format(edition=edition(__version__))
