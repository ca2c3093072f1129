"""The code of the page on ONNX runs as it stands, where skl2onnx and ONNX Runtime are installed."""

import pytest
from test_docs_code import DOCS, blocks

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")


def test_blocks_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks((DOCS / "guide/onnx.rst").read_text(encoding="utf-8"))
    assert len(found) == 4
    namespace = {"__name__": "__main__"}
    for block in found:
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, "guide/onnx.rst", "exec", dont_inherit=True), namespace)
