"""scikit-learn objects as skops files, under an audited list of types; the only module that imports skops.

skops trusts several hundred types by itself. A rung needs a few, so this list is closed: a type that is not on it is
refused, be it harmless or not. Trees are checked further, because scikit-learn follows their links without a look.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from yunti.errors import BundleError

ESTIMATORS = (
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
)
TREE = "sklearn.tree._tree.Tree"
VALUES = (
    *(f"builtins.{name}" for name in ("dict", "list", "tuple", "str", "int", "float", "bool", "NoneType")),
    *(
        f"numpy.{name}"
        for name in ("ndarray", "dtype", "int32", "int64", "float32", "float64", "bool", "bool_", "intp")
    ),
    "scipy.sparse._csr.csr_matrix",
    "scipy.sparse._csc.csc_matrix",
)
ALLOWED = frozenset((*ESTIMATORS, TREE, *VALUES))
KINDS_OF_NODE = frozenset(
    ("ObjectNode", "DictNode", "ListNode", "TupleNode", "JsonNode", "NdArrayNode", "SparseMatrixNode", "TreeNode",
     "TypeNode", "DTypeNode", "CachedNode")
)  # fmt: skip
SCHEMA = "schema.json"
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold: the same model gives the same bytes


def dump(where: str, value: Any) -> bytes:
    """Write an estimator by skops; the same estimator gives the same bytes.

    Raises:
        BundleError: it holds a type that is not on the list.
    """
    import skops.io

    data = _steady(skops.io.dumps(value))
    _audit(where, data)
    return data


def load(where: str, data: bytes) -> Any:
    """Read an estimator after its types were audited.

    Raises:
        BundleError: a type that is not on the list, a file that is not by skops, or a tree with false links.
    """
    _audit(where, data)
    import skops.io

    try:
        trusted = skops.io.get_untrusted_types(data=data)
        unlisted = sorted(set(trusted) - ALLOWED)
        if unlisted:
            raise _refusal(where, unlisted)
        value = skops.io.loads(data, trusted=trusted)
    except BundleError:
        raise
    except Exception as error:  # whatever skops stumbles over in a file that is not its own
        raise _unreadable(where, error) from error
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if name not in ESTIMATORS:
        raise _refusal(where, [name])
    _check_tree(where, value)
    return value


def _audit(where: str, data: bytes) -> None:
    """Hold that the file is a plain, unpacked skops file of listed types."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise BundleError(where, "its parts must not be packed", "one is", "do not use it")
            nodes = list(_nodes(json.loads(archive.read(SCHEMA))))
    except BundleError:
        raise
    except Exception as error:  # zipfile and json raise a dozen types for damaged input
        raise _unreadable(where, error) from error
    types = {f"{node.get('__module__')}.{node.get('__class__')}" for node in nodes}
    kinds = {str(node.get("__loader__")) for node in nodes}
    refused = sorted(types - ALLOWED) or sorted(kinds - KINDS_OF_NODE)
    if refused:
        raise _refusal(where, refused)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Give every node of a skops schema, whatever it hangs under."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value or "__module__" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _steady(data: bytes) -> bytes:
    """Replace addresses in memory by running numbers and times by a fixed day."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(SCHEMA))
        numbers: dict[str, int] = {}
        for node in _nodes(schema):
            if "__id__" in node:
                node["__id__"] = numbers.setdefault(str(node["__id__"]), len(numbers))
        files = {}
        for node in _nodes(schema):
            if "file" in node:
                stem, _, ending = str(node["file"]).partition(".")
                files[node["file"]] = f"{numbers.setdefault(stem, len(numbers))}.{ending}"
                node["file"] = files[node["file"]]
        result = io.BytesIO()
        with zipfile.ZipFile(result, "w") as steady:
            for old, new in sorted(files.items(), key=lambda pair: pair[1]):
                steady.writestr(zipfile.ZipInfo(new, FIRST_DAY), archive.read(old))
            steady.writestr(zipfile.ZipInfo(SCHEMA, FIRST_DAY), json.dumps(schema))
    return result.getvalue()


def _check_tree(where: str, value: Any) -> None:
    """Hold that the links of a tree lead downwards and its features exist."""
    tree = vars(value).get("tree_") if type(value).__module__ == "sklearn.tree._classes" else None
    if tree is None:
        return
    count = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    sound = ((left > count) & (right > count) & (left < len(count)) & (right < len(count)))[inner].all()
    sound &= ((feature >= 0) & (feature < tree.n_features))[inner].all()
    if not sound:
        raise BundleError(where, "the links of its tree must lead to its nodes", "some do not", "do not use it")


def _refusal(where: str, refused: list[str]) -> BundleError:
    shown = ", ".join(repr(name[:80]) for name in refused[:3])
    return BundleError(where, "it may hold only types on yunti's list", f"it holds {shown}", "do not use it")


def _unreadable(where: str, error: Exception) -> BundleError:
    return BundleError(where, "it must be an object written by skops", str(error)[:200] or repr(error), "do not use it")
