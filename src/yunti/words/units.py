"""Numbers as people read them: times, bytes, counts and scores."""

from __future__ import annotations

import math
from collections.abc import Iterable

MOST_DECIMALS = 4


def seconds_text(seconds: float) -> str:
    """Write a time in at most eight characters.

    Example:
        >>> [seconds_text(value) for value in (0.004, 1.25, 59.96, 75, 3725, 200000)]
        ['4 ms', '1.2 s', '60 s', '1m 15s', '1h 02m', '2d 07h']
    """
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole <= 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def money_text(seconds: float, per_hour: float | None) -> str:
    """Write what some seconds cost in the user's currency, which has no sign here; "" where an hour has no price.

    Example:
        >>> [money_text(seconds, 2.5) for seconds in (0.1, 49, 720, 7200, 1777680)], money_text(49, None)
        (['0.000069', '0.034', '0.50', '5.00', '1,234'], '')
    """
    if per_hour is None:
        return ""
    amount = per_hour * seconds / 3600
    if amount >= 100:
        return f"{amount:,.0f}"
    return f"{amount:.{2 if amount >= 1 or not amount else 1 - math.floor(math.log10(amount))}f}"


def bytes_text(count: float) -> str:
    """Write a number of bytes with a binary unit.

    Example:
        >>> [bytes_text(value) for value in (512, 2048, 351272960, 1288490189)]
        ['512 B', '2 KiB', '335 MiB', '1.2 GiB']
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1023.5 or unit == "TiB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 and unit in ("GiB", "TiB") else f"{count:.0f} {unit}"


def count_text(count: float) -> str:
    """Write a count with three digits and k, M, G or T.

    Example:
        >>> [count_text(value) for value in (650, 3400, 340123, 1250000)]
        ['650', '3.4 k', '340 k', '1.2 M']
    """
    if count < 1000:
        return f"{count:.0f}"
    for unit in ("k", "M", "G", "T"):
        count /= 1000
        if count < 999.5 or unit == "T":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"


def energy_text(watt_hours: float) -> str:
    """Write an energy with two digits.

    Example:
        >>> energy_text(0.0123), energy_text(2.345), energy_text(41.8), energy_text(4200)
        ('12 mWh', '2.3 Wh', '42 Wh', '4.2 kWh')
    """
    factor, unit = (1e3, "mWh") if watt_hours < 0.0995 else (1.0, "Wh") if watt_hours < 995 else (1e-3, "kWh")
    return f"{float(f'{factor * watt_hours:.2g}'):,g} {unit}"


def decimals_for(intervals: Iterable[tuple[float, float]]) -> int:
    """Say how many decimals scores with these intervals deserve: two digits of the middle one's half-width.

    Example:
        >>> decimals_for([(0.943, 0.978)]), decimals_for([(531.0, 556.0)]), decimals_for([])
        (3, 0, 3)
    """
    widths = sorted((high - low) / 2 for low, high in intervals if math.isfinite(high - low) and high > low)
    if not widths:
        return 3
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(widths[len(widths) // 2]))))


def score_text(value: float, decimals: int = 3) -> str:
    """Write a score, or a dash where it is not a number.

    Example:
        >>> score_text(0.96111), score_text(54321.5, 0), score_text(-0.0001, 2), score_text(float("nan"))
        ('0.961', '54,322', '0.00', '–')
    """
    rounded = round(value, decimals) if math.isfinite(value) else value
    return f"{rounded or 0.0:,.{decimals}f}" if math.isfinite(value) else "–"


def scored(value: float, low: float, high: float, decimals: int | None = None) -> str:
    """Write a score with its interval, with as many decimals as the interval allows if not given.

    Example:
        >>> scored(0.961, 0.943, 0.978), scored(-0.02, -0.11, 0.04)
        ('0.961 (0.943–0.978)', '-0.020 (-0.110 to 0.040)')
    """
    places = decimals_for([(low, high)]) if decimals is None else decimals
    between = " to " if low < 0 else "–"
    return f"{score_text(value, places)} ({score_text(low, places)}{between}{score_text(high, places)})"


def number_text(value: float) -> str:
    """Write any number with four significant digits, without an exponent where that is short.

    Example:
        >>> number_text(0.123456), number_text(512.0), number_text(3e-5)
        ('0.1235', '512', '3e-05')
    """
    return f"{value:.4g}" if abs(value) < 10000 else f"{value:,.0f}"
