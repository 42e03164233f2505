"""What a better score is worth in time or in money: the rate of exchange that the user sets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

from yunti.climbing.budget import UNITS
from yunti.errors import OptionError

_POINT = 0.01  # of a score that is a share
_TIMES = {
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    **UNITS,
    "秒": 1.0,
    "分钟": 60.0,
    "分": 60.0,
    "小时": 3600.0,
    "天": 86400.0,
}
_LEFT = re.compile(r"(?P<gain>\d+(\.\d+)?|\.\d+)\s*(?P<points>points?|点|個百分點|个百分点)?")
_RIGHT = re.compile(r"(?P<cost>\d+(\.\d+)?|\.\d+)\s*(?P<unit>[a-z\u4e00-\u9fff]*)")
_EXAMPLE = 'write for example "1 point = 30 min"'


@final
@dataclass(frozen=True)
class Worth:
    """What an hour of this machine costs, and what a better score is worth.

    Args:
        gain_per_second: by how much a score must get better for every second, in the metric's unit; None where no rate
            was given.
        price_per_hour: what an hour costs, in the user's currency; None where that was not said.
        in_points: whether the rate speaks of points, hundredths of a share.
    """

    gain_per_second: float | None = None
    price_per_hour: float | None = None
    in_points: bool = False

    def needed(self, seconds: float | None) -> float | None:
        """Return the gain that pays for some seconds; None without a rate or without a known time."""
        return None if self.gain_per_second is None or seconds is None else self.gain_per_second * seconds


FREE: Final = Worth()  # nothing was said: any gain that is likely enough to count is worth its time


def parse_price(price: str | float | None) -> float | None:
    """Read what an hour costs, such as "2.5/h" or 2.5.

    Raises:
        OptionError: it is not a positive price for an hour.

    Example:
        >>> parse_price("2.5/h"), parse_price(None)
        (2.5, None)
    """
    if price is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:/\s*(?:h|hour))?", str(price).strip().lower())
    if found is None or float(found[1]) <= 0:
        raise OptionError("--price", "it must be what an hour costs", f"{price!r} was given", "write for example 2.5/h")
    return float(found[1])


def parse_worth(worth: str | None, price: str | float | None = None) -> Worth:
    """Read what a better score is worth, in time, or in money where an hour has a price.

    A point is a hundredth: of accuracy, of R². Without the word the number is in the metric's own unit, as for a mean
    error in dollars.

    Args:
        worth: such as "1 point = 30 min", "0.5 points = 2h", "100 = 20 min", or "1 point = 20" (money).
        price: what an hour costs, such as "2.5/h".

    Raises:
        OptionError: one of them cannot be read, or money is spoken of and an hour has no price.

    Example:
        >>> parse_worth("1 point = 30 min").needed(3600)
        0.02
        >>> parse_worth("1 point = 5", "2.5/h").needed(7200)
        0.01
    """
    per_hour = parse_price(price)
    if worth is None:
        return Worth(None, per_hour)
    left, equals, right = worth.strip().lower().partition("=")
    gain, cost = _LEFT.fullmatch(left.strip()), _RIGHT.fullmatch(right.strip())
    if not equals or gain is None or cost is None:
        raise OptionError("--worth", "it must be a gain and what it is worth", f"{worth!r} was given", _EXAMPLE)
    wanted = float(gain["gain"]) * (_POINT if gain["points"] else 1.0)
    seconds = _seconds(float(cost["cost"]), cost["unit"], per_hour)
    if wanted <= 0 or seconds <= 0:
        raise OptionError("--worth", "both sides must be above 0", f"{worth!r} was given", _EXAMPLE)
    return Worth(wanted / seconds, per_hour, bool(gain["points"]))


def _seconds(amount: float, unit: str, per_hour: float | None) -> float:
    if not unit:
        if per_hour is None:
            mend = "add --price, what an hour costs, or write a time such as 30 min"
            raise OptionError("--worth", "money needs the price of an hour", "there is no --price", mend)
        return 3600 * amount / per_hour
    name = unit if unit in _TIMES else unit.removesuffix("s")
    if name not in _TIMES:
        raise OptionError("--worth", "the time must have a unit", f"{unit!r} is none", "write s, min, h or d")
    return amount * _TIMES[name]
