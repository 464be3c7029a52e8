"""Fixtures of the collection's tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that this process may read but not write, for the superuser too."""
    folder = Path(tempfile.mkdtemp(prefix="unwritable-"))
    folder.chmod(0o555)
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if superuser:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
