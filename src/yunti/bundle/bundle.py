"""A trained model as a user holds it: loaded from a folder or a `.yunti` file, it predicts, scores and is saved."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

from numpy.typing import NDArray

from yunti.bundle.answers import evaluate_source, predict_source
from yunti.bundle.archive import ENDING, pack, unpack
from yunti.bundle.card import About
from yunti.bundle.format import Draft, Opened, header_of, hold_free, open_folder
from yunti.bundle.guard import HEADER, check_files
from yunti.data.table import Table
from yunti.errors import BundleError, OptionError
from yunti.models.contract import Model, Size
from yunti.specs import Spec


@final
class Bundle:
    """A trained model, its task, and what is told about it.

    Args:
        path: where it was loaded from.
        opened: what was found there, after all checks.

    Example:
        >>> import yunti
        >>> model = yunti.load("runs/stars/models/boosting")  # doctest: +SKIP
        >>> model.predict("new.csv")  # doctest: +SKIP
        >>> model.save("stars.yunti")  # doctest: +SKIP
    """

    def __init__(self, path: Path, opened: Opened) -> None:
        self.path = path
        self._opened = opened

    def __repr__(self) -> str:
        task = self.spec.task
        return f"Bundle({str(self.path)!r}: {self.rung}, {task.name} of {task.target!r})"

    @property
    def model(self) -> Model:
        """The model itself."""
        return self._opened.model

    @property
    def spec(self) -> Spec:
        """The columns and the task; its device is the one that the model runs on now."""
        return self.model.spec

    @property
    def about(self) -> About:
        """What is told about it: data, task, scores, rung."""
        return self._opened.header.about

    @property
    def rung(self) -> str:
        """The name of its rung."""
        return self._opened.header.rung

    @property
    def size(self) -> Size:
        """The dial it was built with."""
        return self._opened.header.size

    @property
    def probe(self) -> Table:
        """The rows that it was checked on."""
        return self._opened.probe

    @property
    def card(self) -> str:
        """The card of the model, in Markdown."""
        return self._opened.card

    def predict(self, source: object) -> Any:
        """Predict every row of a source: a file, folder, glob or sample, or a pandas, polars or Arrow table.

        Returns:
            One row for each row of the source, in its order: `prediction` (a label as a string, or a value) and for
            classes `probability_<class>`. A row that could not be read has nulls there, and the reason in a column
            `problem` that is there only then. pandas gives pandas (same index), polars gives polars, all else gives a
            pyarrow.Table.

        Raises:
            SourceError: the source cannot be read.
            ColumnError: an input column is missing or of another kind.
        """
        return predict_source(self.model, self.about, source)

    def predict_table(self, table: Table) -> NDArray[Any]:
        """Predict the rows of a table of this bundle's columns.

        Returns:
            Probabilities of shape (rows, classes), float32; or values of shape (rows,), float64.
        """
        return self.model.predict(table)

    def generate(self, prompt: str = "", *, stream: int = 0, **sampling: Any) -> Iterator[str]:
        """Continue a text, piece by piece; `"".join(...)` gives it whole. Only bundles of the language ladder can.

        A bundle that learned from conversations takes the prompt for what a user says, and answers it.

        Args:
            prompt: what the text begins with.
            stream: tells several texts with one seed apart.
            sampling: how tokens are drawn, see `yunti.models.sampling.Sampling`: temperature, top_k, top_p, min_p,
                repetition_penalty, max_tokens, stop and seed.

        Raises:
            RungError: the bundle answers, it does not write.
            OptionError: a value is out of its range.

        Example:
            >>> bundle = yunti.load("runs/book/models/kneser_ney")  # doctest: +SKIP
            >>> "".join(bundle.generate("To be", temperature=0.7, max_tokens=40))  # doctest: +SKIP
        """
        from yunti.models.generation import write
        from yunti.models.sampling import Sampling

        return write(self.model.writer, prompt, Sampling(**sampling), stream)

    def generate_all(self, prompts: Sequence[str], **sampling: Any) -> list[str]:
        """Continue several texts, those of a network side by side; only bundles of the language ladder can.

        Each is what `generate` gives with its place in the list as `stream`.

        Args:
            prompts: what the texts begin with.
            sampling: as for `generate`.

        Raises:
            RungError: the bundle answers, it does not write.
            OptionError: a value is out of its range.

        Example:
            >>> bundle = yunti.load("runs/book/models/gpt")  # doctest: +SKIP
            >>> bundle.generate_all(["To be", "Once upon a time"], max_tokens=40)  # doctest: +SKIP
        """
        from yunti.models.generation import write_all
        from yunti.models.sampling import Sampling

        return [each.text for each in write_all(self.model.writer, prompts, Sampling(**sampling))]

    @property
    def chats(self) -> bool:
        """Whether it learned from conversations, so that it answers."""
        return any(column.holds_chats for column in self.spec.columns)

    def chat(self, messages: Sequence[Mapping[str, str]], *, stream: int = 0, **sampling: Any) -> Iterator[str]:
        """Answer a conversation, piece by piece. Only bundles that learned from conversations can.

        Args:
            messages: the conversation so far, each with `role` (system, user or assistant) and `content`. The oldest
                turns are not read where the model cannot read as much; what the system says at the beginning is.
            stream: tells several answers with one seed apart.
            sampling: how tokens are drawn, as for `generate`.

        Raises:
            RungError: the bundle did not learn from conversations.
            OptionError: a message has no role or no content, or a value is out of its range.

        Example:
            >>> bundle = yunti.load("runs/help/models/gpt")  # doctest: +SKIP
            >>> "".join(bundle.chat([{"role": "user", "content": "Who are you?"}]))  # doctest: +SKIP
        """
        from yunti.data.chats.reading import BrokenChatError, turns_before
        from yunti.models.chatting import answer
        from yunti.models.sampling import Sampling

        try:
            turns = list(turns_before(messages))
        except BrokenChatError as error:
            mend = "give each message a role (system, user or assistant) and a content"
            raise OptionError("messages", "they must be a conversation", str(error), mend) from error
        return answer(self.model.writer, turns, Sampling(**sampling), stream)

    def evaluate(self, source: object) -> dict[str, Any]:
        """Score the model on the rows of a source whose answer is known.

        Returns:
            `rows` (number scored), `metric`, `score`, `low`, `high` (the metric that decides, with its 95 % bootstrap
            interval, None where one row tells none), `scores` and `intervals` (every metric of the task), `findings` (a
            sentence for rows that were not scored: broken, without an answer, or with one that the model has not
            learned).

        Raises:
            SourceError: the source cannot be read.
            ColumnError: the target or an input column is missing or of another kind, or no answer is known.
        """
        return evaluate_source(self.model, self.about, source)

    def export(self, path: str | Path) -> None:
        """Write a network of the language ladder as a folder that `transformers` reads: weights, settings, tokeniser.

        What was written is read again and compared: logits and tokens are those of this bundle.

        Args:
            path: a folder that is new or empty.

        Raises:
            RungError: the bundle answers, it does not write.
            OptionError: it counts n-grams, or the folder is not free.
            BundleError: the pretrained model that it stands on is gone or was changed.

        Example:
            >>> yunti.load("runs/book/models/gpt").export("my-gpt")  # doctest: +SKIP
            >>> transformers.AutoModelForCausalLM.from_pretrained("my-gpt")  # doctest: +SKIP
        """
        from yunti.bundle.export import export_model

        export_model(str(self.path), self.model, Path(path))

    def save(self, path: str | Path) -> None:
        """Copy the bundle, byte for byte, to a folder, or to one file when the name ends in `.yunti`.

        Raises:
            OptionError: it cannot be written there, or something else is there.
            BundleError: the bundle was changed since it was loaded.
        """
        target = Path(path)
        with _folder_of(str(self.path), self.path) as folder:
            self._hold_unchanged(folder)
            if target.suffix == ENDING:
                _save_file(folder, target)
                return
            hold_free(target)
            with Draft(target) as draft:
                shutil.copytree(folder, draft, dirs_exist_ok=True)

    def _hold_unchanged(self, folder: Path) -> None:
        where, header = str(self.path), self._opened.header
        if header_of(where, (folder / HEADER).read_bytes()).seal != header.seal:
            raise BundleError(where, "it must be the bundle that was loaded", "another is there now", "load it again")
        check_files(where, folder, header.parts)


def load_bundle(path: Path | str) -> Bundle:
    """Load a bundle: a folder, or one `.yunti` file. Nothing is unpickled, and no code of the bundle runs.

    Checked in this order: format, seal, names, sizes, hashes, types and shapes, and that the model answers the probe as
    it was tested.

    Raises:
        BundleError: a check failed.
        PackageError: the model needs a package that is not installed.
    """
    place = Path(path)
    with _folder_of(str(path), place) as folder:
        return Bundle(place, open_folder(str(path), folder))


@contextmanager
def _folder_of(where: str, path: Path) -> Iterator[Path]:
    """Give the folder of a bundle; a file is unpacked to a temporary one."""
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise BundleError(where, "it must be a folder or a .yunti file", "there is none", "check its name")
    with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
        folder = Path(workspace)
        try:
            unpack(where, path, folder, lambda content: header_of(where, content).parts)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BundleError(where, "it must be readable", reason, "check the file and the space in TMPDIR") from error
        yield folder


def _save_file(folder: Path, target: Path) -> None:
    if target.is_dir():
        raise OptionError(str(target), "a .yunti bundle is one file", "a folder is there", "give another name")
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pack(folder, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        mend = "free the disk or give another place"
        raise OptionError(str(target), "a bundle must be writable there", reason, mend) from error
    finally:
        with suppress(OSError):  # what hinders the removal hindered the writing, and is told
            temporary.unlink(missing_ok=True)
