"""yunti (云梯): climb a ladder of models on your data, from linear to Transformer, and know what each step costs.

The names below are all there is for users; each is loaded when it is first used, so that `import yunti` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yunti.bundle.bundle import Bundle
    from yunti.bundle.bundle import load_bundle as load
    from yunti.climbing.climb import Climb, climb, resume
    from yunti.data.dataset import look
    from yunti.errors import (
        BundleError,
        ColumnError,
        InputError,
        OptionError,
        PackageError,
        RungError,
        SourceError,
        YuntiError,
    )

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "BundleError",
    "Climb",
    "ColumnError",
    "InputError",
    "OptionError",
    "PackageError",
    "RungError",
    "SourceError",
    "YuntiError",
    "__version__",
    "climb",
    "load",
    "look",
    "resume",
]

_HOMES = {
    "Bundle": ("yunti.bundle.bundle", "Bundle"),
    "load": ("yunti.bundle.bundle", "load_bundle"),
    "Climb": ("yunti.climbing.climb", "Climb"),
    "climb": ("yunti.climbing.climb", "climb"),
    "resume": ("yunti.climbing.climb", "resume"),
    "look": ("yunti.data.dataset", "look"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'yunti' has no attribute {name!r}")
    module, original = _HOMES.get(name, ("yunti.errors", name))
    value = getattr(import_module(module), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
