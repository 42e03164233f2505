"""Run every check of the project, cheapest first: format, lint, types, layers, tests. Stops at the first that fails."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
# Long tests stand close together: shared out beforehand, one process waits for the other for two of nine minutes.
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", (str(TOOLS / "ruff"), "format", "--check", ".")),
    ("lint", (str(TOOLS / "ruff"), "check", ".")),
    ("types", (str(TOOLS / "mypy"),)),
    ("layers", (str(TOOLS / "lint-imports"),)),
    ("tests", (sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal")),
)


def main() -> int:
    """Run the checks in their order.

    Returns:
        0, or the exit code of the first check that failed. What a check printed is never held back; the last line is
        that of pytest.
    """
    for name, command in CHECKS:
        began = time.monotonic()
        say(f"== {name}: {' '.join([Path(command[0]).name, *command[1:]])}")
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if name != "tests":
            say(f"== {name} {'failed' if code else 'passed'} after {time.monotonic() - began:.1f} s")
        if code:
            return code
    return 0


def say(text: str) -> None:
    """Print a line at once, so that it stands before what the next check prints."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
