"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real records and photographs; tests that need it skip when it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data folder, absent at {SHARED}")
    return SHARED
