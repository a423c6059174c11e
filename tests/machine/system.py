"""What the tests of this room share: a Python process of their own, and a folder of files to read as the system's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc and /sys")


def in_new_process(code: str, **environment: str) -> str:
    """Return what a new Python process prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stdout.strip()


def files(root: Path, contents: dict[str, str]) -> Path:
    """Write files below `root`, and return it."""
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
