"""Inventories of other projects: their text files, pages by rules, the file that Sphinx reads."""

import zlib

import pytest
from docs_extensions import ROOT, load

inventories = load("inventories")
SOURCES = sorted((ROOT / "docs" / "_inventories").glob("*.txt"))


def test_there_are_the_projects_that_the_pages_link_to():
    names = {path.stem for path in SOURCES}
    assert names == {
        "python",
        "numpy",
        "scipy",
        "sklearn",
        "pandas",
        "matplotlib",
        "joblib",
        "torch",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_committed_files(path):
    address, objects = inventories.read(path)
    assert address.startswith("https://")
    assert address.endswith("/")
    names = [name for _, name, _ in objects]
    assert len(set(names)) == len(names)
    # Sorted, so that two changes seldom touch the same line.
    assert [(kind, name) for kind, name, _ in objects] == sorted(
        (kind, name) for kind, name, _ in objects
    )


# Pages as the inventories of these projects have them.
PAGES = {
    "class sklearn.neural_network.MLPClassifier": (
        "modules/generated/sklearn.neural_network.MLPClassifier.html"
        "#sklearn.neural_network.MLPClassifier"
    ),
    "method sklearn.neural_network.MLPClassifier.fit": (
        "modules/generated/sklearn.neural_network.MLPClassifier.html"
        "#sklearn.neural_network.MLPClassifier.fit"
    ),
    "function numpy.mean": "reference/generated/numpy.mean.html#numpy.mean",
    "class numpy.ndarray": "reference/generated/numpy.ndarray.html#numpy.ndarray",
    "function scipy.stats.ttest_rel": (
        "reference/generated/scipy.stats.ttest_rel.html#scipy.stats.ttest_rel"
    ),
    "method pandas.DataFrame.pivot": (
        "reference/api/pandas.DataFrame.pivot.html#pandas.DataFrame.pivot"
    ),
    "class matplotlib.axes.Axes": "api/_as_gen/matplotlib.axes.Axes.html#matplotlib.axes.Axes",
    "function joblib.dump": "generated/joblib.dump.html#joblib.dump",
    "class torch.nn.Linear": "generated/torch.nn.Linear.html#torch.nn.Linear",
}


@pytest.mark.parametrize("line", PAGES)
def test_pages_by_rule(tmp_path, line):
    path = tmp_path / f"{line.split()[1].partition('.')[0]}.txt"
    path.write_text(f"# a comment\nhttps://example.org/\n\n{line}\n")
    assert inventories.read(path) == ("https://example.org/", [(*line.split(), PAGES[line])])


def test_a_page_that_is_named(tmp_path):
    path = tmp_path / "python.txt"
    path.write_text("https://docs.python.org/3/\nmodule pickle library/pickle.html#module-pickle\n")
    assert inventories.read(path)[1] == [("module", "pickle", "library/pickle.html#module-pickle")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be the address"),
        ("https://example.org/\nclass\n", "txt:2: expected 'kind name .page.', got 'class'"),
        ("https://example.org/\n\nklass a.b\n", "txt:3: expected"),
        ("https://example.org/\nclass a b c\n", "txt:2: expected"),
        ("https://example.org/\nclass a.b\n", "txt:2: other has no rule for pages"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "other.txt"
    path.write_text(text)
    with pytest.raises(inventories.BadInventory, match=message):
        inventories.read(path)


def test_files_that_sphinx_reads(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "numpy.txt").write_text("https://numpy.org/doc/\nfunction numpy.var\nclass numpy.b\n")
    mapping = inventories.mapping(source, tmp_path / "target")
    file = tmp_path / "target" / "numpy.inv"
    assert mapping == {"numpy": ("https://numpy.org/doc/", str(file))}
    content = file.read_bytes()
    *header, rest = content.split(b"\n", 4)
    assert header[0] == b"# Sphinx inventory version 2"
    assert header[1] == b"# Project: numpy"
    assert zlib.decompress(rest).decode().splitlines() == [
        "numpy.b py:class 1 reference/generated/numpy.b.html#numpy.b -",
        "numpy.var py:function 1 reference/generated/numpy.var.html#numpy.var -",
    ]
    inventories.mapping(source, tmp_path / "target")
    assert file.read_bytes() == content


def test_sphinx_itself_reads_them(tmp_path):
    inventory = pytest.importorskip("sphinx.util.inventory")
    for path in SOURCES:
        _, objects = inventories.read(path)
        file = tmp_path / f"{path.stem}.inv"
        inventories.write(file, path.stem, objects)
        with open(file, "rb") as stream:
            read = inventory.InventoryFile.load(stream, "", "/".join)
        assert sum(len(names) for names in dict(read).values()) == len(objects)
