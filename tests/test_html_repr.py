"""The HTML representation of estimators: the link to our documentation, and tooltips from it."""

import html
import inspect
import pickle
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

import skbn
from skbn.estimators.documentation import edition

ROOT = Path(__file__).resolve().parents[1]

ESTIMATORS = [
    skbn.BatchNormTransformer,
    skbn.MLPEnsembleWithBatchNormClassifier,
    skbn.MLPEnsembleWithBatchNormRegressor,
    skbn.MLPWithBatchNormClassifier,
    skbn.MLPWithBatchNormRegressor,
    skbn.RNNWithBatchNormClassifier,
    skbn.RNNWithBatchNormRegressor,
]
has_tooltips = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="scikit-learn 1.8 brought the descriptions of parameters",
)
has_fitted_attributes = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn 1.9 brought the table of fitted attributes",
)


def page_of(cls):
    return (
        f"https://skbn.readthedocs.io/en/{edition(skbn.__version__)}"
        f"/api/generated/skbn.{cls.__name__}.html"
    )


def links_of(page):
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("0.1.0", "v0.1.0"),
        ("1.10", "v1.10"),
        ("0.1.0.dev0", "latest"),
        ("0.2.0rc1", "latest"),
        ("0.1.0+local", "latest"),
        ("unknown", "latest"),
    ],
)
def test_a_release_has_an_edition_of_the_documentation(version, found):
    assert edition(version) == found


def test_every_estimator_is_tested():
    named = {cls for cls in map(skbn.__dict__.get, skbn.__all__) if hasattr(cls, "get_params")}
    assert named == set(ESTIMATORS)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_representation_links_to_the_page_of_the_class(cls):
    assert page_of(cls) in links_of(estimator_html_repr(cls()))
    assert cls()._get_doc_link() == page_of(cls)


@pytest.mark.skipif(not (ROOT / "docs" / "api").is_dir(), reason="the API has one page")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_page_is_in_the_documentation(cls):
    listed = re.compile(rf"^ +(skbn\.)?{cls.__name__}$", re.MULTILINE)
    folders = [
        (page.parent / toctree.strip("/")).relative_to(ROOT / "docs").as_posix()
        for page in (ROOT / "docs").rglob("*.rst")
        for text in page.read_text(encoding="utf-8").split(".. autosummary::")[1:]
        for toctree in re.findall(r"^ +:toctree: (\S+)$", text, re.MULTILINE)
        if listed.search(text)
    ]
    assert folders == ["api/generated"]


@has_tooltips
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_has_a_tooltip_from_our_docstring(cls):
    page = estimator_html_repr(cls())
    # The members of an ensemble are a part of its representation.
    found = dict(
        re.findall(
            r'href="([^"]*)">\s*\w+\s*<span class="param-doc-description"[^>]*>\s*(.*?)</span>',
            page,
            re.DOTALL,
        )
    )
    documented = inspect.getdoc(cls)
    for name in inspect.signature(cls).parameters:
        begin = f"{page_of(cls)}#:~:text={name},-"
        (link,) = [link for link in found if html.unescape(link).startswith(begin)]
        # A browser finds no text with several blanks in a row, since pages show one.
        assert "  " not in unquote(html.unescape(link))
        head, _, text = html.unescape(found[link]).partition("<br><br>")
        assert head.startswith(f"{name}: ")
        assert re.sub(r"\s+", " ", head.partition(": ")[2].replace("`", "")) == re.sub(
            r"\s+", " ", unquote(html.unescape(link)).partition(",-")[2]
        )
        lines = [line for line in text.split("<br>") if line]
        assert lines
        for line in lines:
            assert line.strip() in documented


@has_tooltips
def test_tooltips_and_the_link_are_there_inside_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), skbn.MLPWithBatchNormClassifier(bn_momentum=0.5))
    page = estimator_html_repr(pipeline)
    assert page_of(skbn.MLPWithBatchNormClassifier) in links_of(page)
    row = page[page.index("bn_momentum,-") :]
    row = row[: row.index("</tr>")]
    assert "Weight of the **newest** batch in the running statistics" in row
    assert re.search(r'<td class="value">0\.5</td>', row)
    assert 'class="user-set"' in page[: page.index("bn_momentum,-")].rpartition("<tr")[2]


@has_fitted_attributes
def test_fitted_attributes_have_tooltips():
    X = np.random.default_rng(0).normal(size=(60, 2))
    clf = skbn.MLPWithBatchNormClassifier((4,), n_epochs=2).fit(X, X[:, 0] > 0.0)
    page = estimator_html_repr(clf)
    section = inspect.getdoc(skbn.MLPWithBatchNormClassifier).split("Attributes\n----------\n")[1]
    documented = re.findall(r"^(\w+_) : ", section.split("See Also")[0], re.MULTILINE)
    present = [name for name in documented if hasattr(clf, name)]
    assert len(present) > 15
    for name in present:
        assert f"{page_of(type(clf))}#:~:text={name},-" in page, name


def test_a_class_of_another_package_has_no_link():
    class Other(skbn.MLPWithBatchNormClassifier):
        pass

    assert Other()._get_doc_link() == ""
    assert "readthedocs" not in estimator_html_repr(Other())


def test_the_link_is_no_part_of_the_state():
    for copied in (clone(skbn.BatchNormTransformer()), pickle.loads(pickle.dumps(ESTIMATORS[3]()))):
        assert not [name for name in vars(copied) if "doc_link" in name]
