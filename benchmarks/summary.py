"""Print climbs as one Markdown table, a row a rung: python benchmarks/summary.py RUN [RUN ...]"""

from __future__ import annotations

import sys
from pathlib import Path

from yunti.records import ClimbRecord, RungRecord
from yunti.storing import from_json


def main() -> None:
    print("| data | rung | valid (95 %) | test (95 %) | train s | peak MiB | parameters |")
    print("|---|---|---|---|---|---|---|")
    for folder in sys.argv[1:]:
        record = from_json(ClimbRecord, (Path(folder) / "climb.json").read_text(), folder)
        for rung in record.rungs:
            if rung.score is not None:
                print(row(Path(folder).name, record, rung))


def row(name: str, record: ClimbRecord, rung: RungRecord) -> str:
    """Lay out one rung; the chosen one is set in bold and has the test score."""
    assert rung.score is not None
    assert rung.cost is not None
    chosen = record.verdict is not None and record.verdict.chosen == rung.name
    test = record.test
    tested = f"{test.score:.3f} ({test.low:.3f}–{test.high:.3f})" if chosen and test else ""
    cells = [
        f"{name}, {record.task.metric}",
        f"**{rung.name}**" if chosen else rung.name + (" (cut short)" if rung.status == "stopped" else ""),
        f"{rung.score.valid:.3f} ({rung.score.low:.3f}–{rung.score.high:.3f})",
        tested,
        f"{rung.cost.train_seconds:.1f}",
        f"{rung.cost.peak_memory_bytes / 2**20:.0f}",
        f"{rung.cost.parameters:,}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
