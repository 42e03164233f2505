"""Texts to a token file: seconds and peak memory above that of the imports.

    python benchmarks/tokens.py --megabytes 2000 --coder bpe

Writes texts of frequent and rare words, some of them Chinese, as an Arrow file, and turns them into tokens in a process
of its own. Private memory is what the machine must really have; resident memory counts pages of mapped files too, which
the system may drop at any time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

PART = 2_000_000  # bytes of text made at once
WORDS = 60_000


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "texts.arrow"
        began = time.monotonic()
        write(source, int(options.megabytes * 1e6), options.chinese)
        print(f"made {source.stat().st_size / 1e9:.2f} GB in {time.monotonic() - began:.0f} s", flush=True)
        command = [sys.executable, __file__, "--worker", str(source), "--coder", options.coder]
        subprocess.run([*command, "--size", str(options.size)], check=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--chinese", type=float, default=0.2, help="share of the texts that is Chinese")
    parser.add_argument("--coder", choices=("bytes", "characters", "bpe"), default="bpe")
    parser.add_argument("--size", type=int, default=0, help="tokens of BPE; derived from the texts if not given")
    parser.add_argument("--folder", help="where the files go; the system's temporary folder if not given")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(Path(options.worker), options.coder, options.size)
        raise SystemExit
    return options


def write(path: Path, size: int, chinese: float) -> None:
    """Write an Arrow file of texts of some hundred bytes, whose words follow Zipf's law."""
    schema = pa.schema([("text", pa.large_string())])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        written = 0
        for texts in parts(chinese):
            batch = pa.record_batch([pa.array(texts, pa.large_string())], schema=schema)
            writer.write_batch(batch)
            written += batch.nbytes
            if written >= size:
                return


def parts(chinese: float) -> Iterator[list[str]]:
    random = np.random.default_rng(0)
    shares = 1 / np.arange(10, WORDS + 10)
    letters = "etaoinshrdlcumwfgypbvk"
    english = np.array([" " + "".join(random.choice(list(letters), 1 + number % 9)) for number in range(WORDS)])
    signs = np.array([chr(0x4E00 + number) for number in range(5000)])
    han = np.array(["".join(random.choice(signs, 1 + number % 3)) for number in range(WORDS)])
    while True:
        texts = []
        for words, share, length in ((english, 1 - chinese, 6.0), (han, chinese, 6.0)):
            count = int(PART * share / length)
            drawn = words[random.choice(WORDS, count, p=shares / shares.sum())]
            ends = np.cumsum(random.integers(20, 200, 1 + count // 20))
            stop = "." if words is english else "\uff0c"
            texts += ["".join(part) + stop for part in np.split(drawn, ends[ends < count])]
        yield texts


def work(source: Path, kind: str, size: int) -> None:
    """Turn the texts into tokens and print what it took."""
    from yunti.data.token_file import write_tokens
    from yunti.data.tokenisers import fit_coder, suggest

    column = pa.ipc.open_file(pa.memory_map(str(source))).read_all()["text"]
    import tokenizers  # its import is no part of the work

    assert tokenizers
    begin, peak, stop = memory(), memory(), threading.Event()
    watch = threading.Thread(target=sample, args=(peak, stop))
    watch.start()
    size_bytes = source.stat().st_size
    began = time.monotonic(), time.process_time()
    suggestion = suggest(column)
    took(f"suggested {suggestion.kind} ({suggestion.reason})", began)
    began = time.monotonic(), time.process_time()
    coder = fit_coder(kind, column, size, seed=0)
    took(f"fitted {coder.describe()}", began)
    for what in ("wrote", "opened"):
        began = time.monotonic(), time.process_time()
        file = write_tokens(source.parent / "tokens", "train", column, coder)
        wall, busy = took(f"{what} {file.facts.tokens:,} tokens of {len(file):,} texts", began)
        print(f"  {size_bytes / 1e6 / wall:.1f} MB/s, {size_bytes / 1e6 / busy:.1f} MB a processor second")
    print(f"  {file.facts.tokens / size_bytes:.3f} tokens a byte, {file.tokens.nbytes / 1e9:.2f} GB")
    stop.set()
    watch.join()
    above = (peak["RssAnon"] - begin["RssAnon"]) / 2**30, (peak["VmHWM"] - begin["VmRSS"]) / 2**30
    print(f"peak memory above that of the imports: {above[0]:.2f} GiB private, {above[1]:.2f} GiB resident")


def memory() -> dict[str, int]:
    """Bytes of memory of this process, by the names of Linux."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if line[-1] == "kB"}


def sample(peak: dict[str, int], stop: threading.Event) -> None:
    """Keep the largest values until told to stop."""
    while not stop.wait(0.02):
        for name, value in memory().items():
            peak[name] = max(peak[name], value)


def took(what: str, began: tuple[float, float]) -> tuple[float, float]:
    wall, busy = time.monotonic() - began[0], time.process_time() - began[1]
    print(f"{what}: {wall:.1f} s, {busy:.1f} s of processor", flush=True)
    return wall, busy


if __name__ == "__main__":
    main()
