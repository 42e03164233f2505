"""Parquet, Arrow and Feather files: batch by batch into memory-mapped rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from yunti.data.files import first_bytes, reading, unpack, what_it_is
from yunti.data.spill import FileReport, Spill, must_differ
from yunti.errors import SourceError

_BATCH_ROWS = 65_536


def read_parquet(path: Path, name: str, spill: Spill, workspace: Path) -> FileReport:
    """Read a Parquet file into the spill, row group by row group.

    Args:
        path: the file, perhaps packed.
        name: the file as the user named it.
        spill: takes the rows.
        workspace: a folder for temporary files.

    Raises:
        SourceError: it cannot be read, is not Parquet, or is damaged.
    """
    plain = unpack(path, name, workspace)
    _must_start_with(plain, name, (b"PAR1",), "a Parquet file")
    with _whole(name, "a whole Parquet file"), pq.ParquetFile(plain, memory_map=True) as file:
        must_differ(file.schema_arrow.names, name)
        rows = _take(file.iter_batches(_BATCH_ROWS), file.schema_arrow, name, spill)
    return FileReport(rows)


def read_arrow(path: Path, name: str, spill: Spill, workspace: Path) -> FileReport:
    """Read an Arrow file, an Arrow stream or a Feather file into the spill.

    Args:
        path: the file, perhaps packed.
        name: the file as the user named it.
        spill: takes the rows.
        workspace: a folder for temporary files.

    Raises:
        SourceError: it cannot be read, is not Arrow, or is damaged.
    """
    plain = unpack(path, name, workspace)
    head = first_bytes(plain, name)
    if what_it_is(head) is None:
        _must_start_with(plain, name, (b"\xff\xff\xff\xff",), "an Arrow file or stream")
    else:
        _must_start_with(plain, name, (b"ARROW1",), "an Arrow file or stream")
    with _whole(name, "a whole Arrow file"), pa.memory_map(str(plain)) as source:
        if head.startswith(b"ARROW1"):
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(place) for place in range(file.num_record_batches))
            schema = file.schema
        else:
            stream = pa.ipc.open_stream(source)
            batches, schema = iter(stream), stream.schema
        must_differ(schema.names, name)
        rows = _take(batches, schema, name, spill)
    return FileReport(rows)


def _take(batches: Iterator[pa.RecordBatch], schema: pa.Schema, name: str, spill: Spill) -> int:
    spill.agree(name, schema.names)
    rows = 0
    for batch in batches:
        batch.validate(full=True)  # a damaged file may point outside of its own buffers
        spill.append(batch)
        rows += batch.num_rows
    if not rows:
        names = ", ".join(repr(each) for each in schema.names[:3])
        raise SourceError(name, "it must hold rows", f"it has only columns ({names})", "give a file with rows")
    return rows


def _must_start_with(path: Path, name: str, starts: tuple[bytes, ...], what: str) -> None:
    head = first_bytes(path, name)
    if not head.startswith(starts):
        got = f"it looks like {known}" if (known := what_it_is(head)) else "its first bytes are not those of one"
        raise SourceError(name, f"it must be {what}", got, "give it the ending of what it is, or export it again")


@contextmanager
def _whole(name: str, what: str) -> Iterator[None]:
    """Turn what Arrow finds wrong inside a file into one sentence."""
    with reading(name):
        try:
            yield
        except PermissionError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            got = f"it is cut off or damaged ({str(error).splitlines()[0].rstrip('.')[:120]})"
            raise SourceError(name, f"it must be {what}", got, "fetch or export it again") from error
