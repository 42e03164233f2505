"""What a climb says: its verdict, its forecasts, what comes next."""

CLIMBING: dict[str, str] = {}
