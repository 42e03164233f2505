"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests run side by side, a core each: threads that wait for each other would take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests read English sentences, whatever the language of the machine.
os.environ["LC_ALL"] = "C.UTF-8"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that stands beside the project, or a skip where it is absent."""
    folder = Path(os.environ.get("YUNTI_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set YUNTI_DATA to its folder")
    return folder
