"""PyTorch is imported by ``skbn.torch`` alone, and its absence is told in words."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_skbn_does_not_import_pytorch():
    assert run("import sys, skbn; print('torch' in sys.modules)") == "False"


def test_the_error_without_pytorch_names_the_extra():
    code = """
import sys, skbn
sys.modules["torch"] = None  # "import torch" then raises ImportError
try:
    import skbn.torch
except ImportError as error:
    print(error)
"""
    message = run(code)
    assert message == 'skbn.torch needs PyTorch: pip install "skbn[torch]"'
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "torch" in project["optional-dependencies"]
