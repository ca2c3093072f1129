"""The code of the pages runs as it stands, and so do the examples of the docstrings.

Each ``.. code-block:: python`` of a page runs after the blocks before it, in one namespace, from an
empty directory, without a network, and with warnings as errors. A block with the class ``not-run``
is compiled only: it needs what the tests do not have.
"""

import doctest
import inspect
import ipaddress
import re
import socket
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import skbn

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Pages that the build makes are no pages of the repository.
MADE = ("_build", "auto_examples", "generated", "backreferences")
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.rst")
    if not set(MADE) & set(path.relative_to(DOCS).parts) and "examples" not in path.parts
)
DIRECTIVE = re.compile(
    r"^( *)\.\. (?:code-block|code|sourcecode):: *(?:python|py|python3|pycon)\s*$"
)


# Modules that a page needs. Old versions of scikit-learn have no callbacks. Dask is optional.
NEEDED = {"guide/callbacks.rst": "sklearn.callback", "guide/cluster.rst": "distributed"}


class Block(NamedTuple):
    """One block: its code, the line of the page where the code begins, and whether it is run."""

    code: str
    line: int
    runs: bool


def blocks(text):
    """The blocks of Python of a page."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        match = DIRECTIVE.match(line)
        if match is None:
            continue
        margin = len(match[1])
        body = []
        for later in lines[number + 1 :]:
            if later.strip() and len(later) - len(later.lstrip()) <= margin:
                break
            body.append(later)
        options = 0
        while options < len(body) and body[options].strip().startswith(":"):
            options += 1
        classes = re.findall(r":class: (.*)", "\n".join(body[:options]))
        code = textwrap.dedent("\n".join(body[options:]))
        found.append(Block(code, number + 2 + options, "not-run" not in " ".join(classes).split()))
    return found


def run(text, name, namespace):
    """Run the blocks of a page; the lines of a traceback are the lines of the page."""
    for block in blocks(text):
        code = compile("\n" * (block.line - 1) + block.code, name, "exec", dont_inherit=True)
        if block.runs:
            exec(code, namespace)


def is_of_this_machine(host):
    """Whether a host is an address of this machine, or None. Nothing is looked up."""
    if host is None:
        return True
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:  # a name
        return False
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as listener:
        try:
            listener.bind((str(host), 0))
        except OSError:
            return False
    return True


@pytest.fixture
def empty_directory(tmp_path, monkeypatch):
    """An empty working directory, no network beside this machine, and no window for figures."""
    import matplotlib
    import matplotlib.pyplot as plt

    def refuse(host):
        if not is_of_this_machine(host):
            raise OSError("the code of a page must not need a network")

    look_up, connect = socket.getaddrinfo, socket.create_connection

    def getaddrinfo(host, *args, **kwargs):
        refuse(host)
        return look_up(host, *args, **kwargs)

    def create_connection(address, *args, **kwargs):
        refuse(address[0])
        return connect(address, *args, **kwargs)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    backend = matplotlib.get_backend()
    matplotlib.use("agg")
    with np.printoptions(), matplotlib.rc_context():
        yield tmp_path
    plt.close("all")
    matplotlib.use(backend)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks((DOCS / page).read_text(encoding="utf-8"))]
)
def test_code_of_a_page(page, empty_directory):
    if page in NEEDED:
        pytest.importorskip(NEEDED[page])
    run((DOCS / page).read_text(encoding="utf-8"), page, {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES)
def test_prompts_stand_in_docstrings_only(page):
    """Blocks are copied and run as they stand, which prompts would prevent."""
    assert not re.search(r"^\s*>>> ", (DOCS / page).read_text(encoding="utf-8"), re.M)


TEXT = """
.. code-block:: python

   value = 1

Between.

.. code-block:: bash

   not python

- .. note::

     .. code-block:: python
        :caption: x

        value += 1

        if value:
            value += 1

.. code-block:: python
   :class: big not-run

   import nothing_of_this_name

.. code-block:: python

   value *= 7
"""


def test_blocks_run_one_after_the_other():
    namespace = {}
    run(TEXT, "page", namespace)
    assert namespace["value"] == 21
    assert [block.runs for block in blocks(TEXT)] == [True, True, False, True]
    lines = TEXT.splitlines()
    for block in blocks(TEXT):
        first = next(line for line in block.code.splitlines() if line)
        offset = block.code.splitlines().index(first)
        assert lines[block.line - 1 + offset].strip() == first


@pytest.mark.parametrize(("options", "line"), [("", 3), ("   :class: not-run\n", 4)])
def test_a_block_that_is_no_python_fails(options, line):
    with pytest.raises(SyntaxError) as error:
        run(f".. code-block:: python\n{options}\n   x = (\n", "page", {})
    assert (error.value.filename, error.value.lineno) == ("page", line)


def test_a_block_without_network(empty_directory):
    with pytest.raises(OSError, match="must not need a network"):
        run(
            ".. code-block:: python\n\n   import urllib.request\n"
            "   urllib.request.urlopen('http://example.org')\n",
            "page",
            {},
        )


@pytest.mark.parametrize("host", ["example.org", "198.51.100.7", "2001:db8::1"])
def test_other_machines_are_the_network(host, empty_directory):
    for call in (
        lambda: socket.getaddrinfo(host, 80),
        lambda: socket.create_connection((host, 80), timeout=1.0),
    ):
        with pytest.raises(OSError, match="must not need a network"):
            call()


def test_this_machine_is_no_network(empty_directory):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    assert socket.getaddrinfo(None, 0)


# Docstrings ----------------------------------------------------------------------------------


def public():
    """Every public class and function by its name, without aliases of classes."""
    names = {name: getattr(skbn, name) for name in skbn.__all__ if not name.startswith("__")}
    return {name: value for name, value in names.items() if value.__name__ == name}


def examples(name):
    """The doctests of the object and, of a class, of its own and inherited methods in skbn."""
    value = public()[name]
    finder = doctest.DocTestFinder(recurse=False)
    objects = {name: value}
    if inspect.isclass(value):
        for key, member in inspect.getmembers(value):
            module = getattr(member, "__module__", None) or ""
            if not key.startswith("_") and module.startswith("skbn."):
                objects[f"{name}.{key}"] = member
    found = []
    for key, member in objects.items():
        found += finder.find(member, key, globs={})
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", public())
def test_examples_of_the_docstring(name, empty_directory):
    tests = examples(name)
    assert tests, f"the docstring of {name} has no example"
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
    )
    output = []
    for test in tests:
        runner.run(test, out=output.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(output)
