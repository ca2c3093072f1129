"""What the gallery adds to sphinx-gallery; ``.ci/run`` runs this file where sphinx-gallery is."""

import warnings

import pytest
from docs_extensions import load

pytest.importorskip("sphinx_gallery")


@pytest.fixture(scope="module")
def gallery():
    return load("gallery")


def test_order(gallery):
    names = ["plot_b.py", "quickstart.py", "plot_a.py"]
    assert sorted(names, key=gallery.Order("examples")) == [
        "quickstart.py",
        "plot_a.py",
        "plot_b.py",
    ]


def test_pictures_that_a_script_writes_are_moved_to_its_page(gallery, tmp_path):
    for name in ("b.png", "a.png", "a.csv"):
        (tmp_path / name).write_text(name)
    images = tmp_path / "images"
    images.mkdir()
    variables = {
        "src_file": str(tmp_path / "example.py"),
        "image_path_iterator": iter(images / f"{i}.png" for i in range(9)),
    }
    page = gallery.scrape_files(None, variables, {"src_dir": str(tmp_path)})
    assert [(images / f"{i}.png").read_text() for i in range(2)] == ["a.png", "b.png"]
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["a.csv"]
    assert page.index("/images/0.png") < page.index("/images/1.png")
    assert gallery.scrape_files(None, variables, {"src_dir": str(tmp_path)}).strip() == ""


def test_warnings_are_errors_within_an_example_only(gallery):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        gallery.warnings_are_errors({}, "example.py", "before")
        with pytest.raises(UserWarning, match="seen"):
            warnings.warn("seen", stacklevel=1)
        gallery.warnings_are_errors({}, "example.py", "after")
        assert warnings.filters == before
