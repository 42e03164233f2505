"""What the report of a climb says."""

REPORT: dict[str, str] = {}
