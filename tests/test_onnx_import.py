"""``skbn.onnx`` without skl2onnx: the import is cheap, and the error says what to install."""

import subprocess
import sys

import pytest

from skbn.onnx import register


def test_the_import_waits_for_the_call():
    code = "import sys, skbn.onnx; sys.exit('skl2onnx' in sys.modules or 'onnx' in sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_error_without_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "skbn\[onnx\]"'):
        register()
