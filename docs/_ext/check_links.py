"""Check every link, picture and anchor inside built pages.

    python docs/_ext/check_links.py docs/_build/html

Each address in a page (``href``, ``xlink:href``, ``src``, ``srcset``, ``poster``, ``data``) that
does not leave the directory must name a file of the directory, and each ``#fragment`` must name an
``id`` (or the ``name`` of an ``a``) of the page that it leads to. An address that begins with ``/``
or ``file:`` works on one machine only, and is refused. Addresses of the web are counted, and not
asked for: the inventories of other projects are checked by the build.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ATTRIBUTES = ("href", "xlink:href", "src", "poster", "data")
# Schemes that lead out of the pages, or hold the content themselves.
OUTSIDE = {"http", "https", "mailto", "data", "javascript"}


class Page(HTMLParser):
    """Addresses and anchors of one page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.addresses = []  # (line, address)
        self.anchors = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        line, _ = self.getpos()
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ATTRIBUTES:
                self.addresses.append((line, value.strip()))
            elif name == "srcset":
                parts = [part.split() for part in value.split(",")]
                self.addresses += [(line, part[0]) for part in parts if part]


def check(directory):
    """What is wrong, one line each, and how many links of what kind were looked at."""
    directory = Path(directory).resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(directory.rglob("*.html"))
        if "_static" not in path.relative_to(directory).parts  # files of the theme, no pages
    }
    problems, counts = [], {"pages": len(pages), "inside": 0, "outside": 0}
    for path, page in pages.items():
        for line, address in page.addresses:
            try:
                if urlsplit(address).scheme in OUTSIDE or address.startswith("//"):
                    counts["outside"] += 1
                    continue
                problem = problem_of(address, path, pages, directory)
            except ValueError:
                problem = "is no address"
            counts["inside"] += 1
            if problem is not None:
                place = f"{path.relative_to(directory).as_posix()}:{line}"
                problems.append(f"{place}: {address}: {problem}")
    return problems, counts


def problem_of(address, page, pages, directory):
    """Why an address of a page leads nowhere; None if it leads somewhere."""
    parts = urlsplit(address)
    if parts.scheme or parts.path.startswith("/"):
        return "is not relative"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(directory):
        return "leaves the directory"
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "no such file"
    # "#" and "#top" are the beginning of any page.
    if parts.fragment in ("", "top") or target not in pages:
        return None
    if unquote(parts.fragment) not in pages[target].anchors:
        return "no such anchor"
    return None


def main(argv):
    if len(argv) != 1 or not Path(argv[0]).is_dir():
        return "usage: check_links.py DIRECTORY-OF-HTML"
    problems, counts = check(argv[0])
    print(*problems, sep="\n", end="\n" if problems else "")
    print(
        f"{counts['pages']} pages, {counts['inside']} links inside, {counts['outside']} to the "
        f"web (not followed): {len(problems)} broken"
    )
    # A directory without pages or links is the wrong directory.
    return 1 if problems or not counts["inside"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
