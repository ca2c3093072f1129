"""The check of the links of built pages finds each kind of broken link, and no sound one."""

import pytest
from docs_extensions import load

check_links = load("check_links")

HEAD = '<meta name="author" content="x"><h1 id="here">Here</h1>'
OTHER = '<h1 id="top-of-it">Other</h1><a name="old-style"></a><p id="a b">x</p>'
SOUND = [
    "other.html",
    "other.html#top-of-it",
    "other.html#old-style",
    "other.html#a%20b",
    "other.html?v=1#top-of-it",
    "#here",
    "#",
    "#top",
    "",
    "deep/",
    "deep/index.html#deep",
    "a%20picture.png",
    "a picture.png?v=2",
    "https://example.org/nothing#there",
    "//example.org/nothing",
    "mailto:someone@example.org",
    "data:image/png;base64,AAAA",
]
BROKEN = {
    "missing.html": "no such file",
    "missing.html#here": "no such file",
    "other.html#missing": "no such anchor",
    "#missing": "no such anchor",
    "#author": "no such anchor",  # the name of a meta element
    "empty/": "no such file",
    "deep/#missing": "no such anchor",
    "deep/missing.png": "no such file",
    "../outside.html": "leaves the directory",
    "/other.html": "is not relative",
    "file:///other.html": "is not relative",
    "https://[missing": "is no address",
}


@pytest.fixture
def pages(tmp_path):
    """Write index.html with a body beside two other pages and a picture; the directory."""

    def write(body):
        html = tmp_path / "html"
        (html / "deep").mkdir(parents=True)
        (html / "empty").mkdir()
        (html / "index.html").write_text(f"{HEAD}\n{body}")
        (html / "other.html").write_text(OTHER)
        (html / "deep" / "index.html").write_text(
            '<p id="deep"><a href="../index.html#here">up</a>'
        )
        (html / "a picture.png").write_bytes(b"")
        (tmp_path / "outside.html").write_text("")
        return html

    return write


@pytest.mark.parametrize("address", SOUND)
def test_sound_links(pages, address):
    problems, counts = check_links.check(pages(f'<a href="{address}">x</a>'))
    assert problems == []
    assert counts["pages"] == 3
    assert counts["inside"] + counts["outside"] == 2


@pytest.mark.parametrize("address", BROKEN)
def test_broken_links(pages, address):
    problems, _ = check_links.check(pages(f'<a href="{address}">x</a>'))
    assert problems == [f"index.html:2: {address}: {BROKEN[address]}"]


@pytest.mark.parametrize(
    "element",
    [
        '<img src="missing.png">',
        '<img src="a%20picture.png" srcset="a%20picture.png 1x, missing.png 2x">',
        '<script src="missing.png"></script>',
        '<svg><image xlink:href="missing.png"/></svg>',
        '<link href="missing.png">',
        '<object data="missing.png"></object>',
        '<video poster="missing.png"></video>',
    ],
)
def test_every_element_that_loads_a_file(pages, element):
    problems, _ = check_links.check(pages(element))
    assert problems == ["index.html:2: missing.png: no such file"]


@pytest.mark.parametrize("srcset", ["", " ", "a%20picture.png 1x,", "a%20picture.png, "])
def test_lists_of_pictures_with_empty_entries(pages, srcset):
    assert check_links.check(pages(f'<img srcset="{srcset}">'))[0] == []


def test_templates_of_the_theme_are_no_pages(pages):
    directory = pages("")
    (directory / "_static").mkdir()
    (directory / "_static" / "macros.html").write_text('<link href="{{ pathto() }}">')
    assert check_links.check(directory)[0] == []


def test_command_fails_with_a_list(pages, capsys):
    directory = pages('<a href="missing.html">x</a> <img src="#missing">')
    assert check_links.main([str(directory)]) == 1
    *listed, summary = capsys.readouterr().out.splitlines()
    assert listed == [
        "index.html:2: missing.html: no such file",
        "index.html:2: #missing: no such anchor",
    ]
    assert summary == "3 pages, 3 links inside, 0 to the web (not followed): 2 broken"


def test_command_succeeds(pages, capsys):
    assert check_links.main([str(pages('<a href="other.html">x</a>'))]) == 0
    assert capsys.readouterr().out.endswith(": 0 broken\n")


def test_command_refuses_a_directory_without_pages(tmp_path, capsys):
    assert check_links.main([str(tmp_path)]) == 1
    assert "0 pages" in capsys.readouterr().out
    assert "usage" in check_links.main([str(tmp_path / "none")])
    assert "usage" in check_links.main([])
