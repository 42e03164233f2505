"""The end of a climb: choose, say what could be done next, train the chosen rung anew, and open the test rows once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from yunti.bundle.format import about_of
from yunti.climbing.compare import choose
from yunti.climbing.events import Decided, RungStarted
from yunti.climbing.forecast.scaled import (
    TWICE_AS_LARGE,
    TWICE_AS_LONG,
    best_cut_short,
    best_network,
    could_pass,
)
from yunti.climbing.limit import limit
from yunti.climbing.next import Standing, next_steps
from yunti.climbing.refit import AGAIN, not_worth_it, parts_of
from yunti.climbing.state import State
from yunti.climbing.verdict import verdict
from yunti.errors import RungError
from yunti.ladders.rung import Rung
from yunti.records import RefitRecord, RungRecord
from yunti.words import say


def conclude(state: State, ladder: Sequence[Rung], *, open_test: bool) -> None:
    """Choose a rung and, if all is done, open the test rows for it.

    Args:
        state: where the climb stands.
        ladder: the rungs that were asked for.
        open_test: whether all is done.

    Raises:
        RungError: no rung could be trained.
    """
    trained = state.trained()
    if not trained:
        reasons = "; ".join(f"{each.name}: {(each.reason or '').rstrip('.')}" for each in state.record.rungs)
        raise RungError(str(state.run.path), "at least one rung must be trained", reasons, "mend that and start anew")
    valid = state.dataset.valid
    choice = choose(
        trained,
        state.record.task,
        valid.target,
        state.run.valid_predictions,
        seed=state.request.seed,
        clusters=valid.groups,
    )
    state.save(verdict=verdict(choice, state.record.task))
    if open_test:
        state.draw_curve(state.rung(choice.chosen.name), state.left())
        cut, whole = best_cut_short(trained, state.metric), best_network(trained, ladder, state.spec.rows, state.metric)
        if cut is not None and could_pass(cut, choice.chosen, TWICE_AS_LONG, state.metric):
            state.draw_compute_curve(cut, state.left())
        is_free = state.request.exchange.needed(1.0) is None  # a size curve seldom tells what it would cost
        if is_free and whole is not None and could_pass(whole, choice.chosen, TWICE_AS_LARGE, state.metric):
            state.draw_size_curve(whole, state.left())
    _look_ahead(state, ladder)
    chats = any(column.holds_chats for column in state.dataset.columns)
    if open_test and state.record.task.name == "language" and not chats:
        _search_copies(state, choice.chosen)
    if open_test and state.request.refit:
        _refit(state, choice.chosen)
    if open_test and state.record.data.split.test:
        _open_test(state, choice.chosen)
    assert state.record.verdict is not None
    state.tell(Decided(state.record.verdict, state.record.test))


def _look_ahead(state: State, ladder: Sequence[Rung]) -> None:
    """Say what could be done next, and what holds the score back."""
    made = state.record.verdict
    assert made is not None
    chosen = state.record.rung(made.chosen)
    assert chosen is not None
    if state.request.full:
        return
    standing = Standing(
        chosen, state.record.rungs, ladder, state.spec, state.metric, state.request.exchange, state.starts[True]
    )
    steps = next_steps(standing)
    found = limit(standing, steps, state.dataset.valid.target, state.run.valid_predictions, state.record.data.repeats)
    state.save(verdict=replace(made, next=steps, limit=found))


def _search_copies(state: State, chosen: RungRecord) -> None:
    """Look for what the chosen rung copies, before it learns the validation texts too, if the time holds it."""
    name, run = chosen.name, state.run
    fresh = run.test_record(name) is None and about_of(run.model(name)).refit_rows == 0
    if run.copied_record(name) is None and fresh:
        seconds = state.reserve_for_copies()
        if seconds <= state.purse.left - state.reserve_for_test():
            state.work(state.rung(name), seconds, act="copies")
    state.save(copied=run.copied_record(name))


def _refit(state: State, chosen: RungRecord) -> None:
    """Train the chosen rung anew on training and validation rows, if that pays and fits, and note what came of it.

    What came of it is noted before the test rows are opened, so that a resumed climb does not do it afterwards.
    """
    name, run = chosen.name, state.run
    tested = run.test_record(name) is not None
    reason = ""
    if run.refit_record(name) is None and about_of(run.model(name)).refit_rows == 0 and not tested:
        left = state.purse.left - state.reserve_for_test()
        reason, parts = _worth_it(state, chosen, left)
        if not reason:
            rung = state.rung(name)
            state.tell(RungStarted("refit", rung.era, AGAIN, left))
            reason = state.work(rung, left, parts, act="refit").reason.rstrip(".")
            shutil.rmtree(run.outcome(f"{name}-refit"), ignore_errors=True)
    done = run.refit_record(name)
    if done is None:  # refused or failed; or its bundle was written and the process was killed before it said so
        about = about_of(run.model(name))
        done = RefitRecord(about.refit_rows, 0.0, "" if about.refit_rows else reason, about.refit_members)
        run.save_refit(name, done)
    assert state.record.verdict is not None
    state.save(verdict=replace(state.record.verdict, refit=done))


def _worth_it(state: State, chosen: RungRecord, seconds: float) -> tuple[str, list[str]]:
    """Say why the chosen rung is not trained anew, or which rungs are: itself, or members of the ensemble it is.

    Members come cheapest first, and only those that pay and that fit the time one after the other.
    """
    split = state.record.data.split
    parts = sorted(parts_of(chosen, state.trained()), key=state.refit_seconds)
    worthy = [each for each in parts if not not_worth_it(each, split)]
    if not worthy:
        return not_worth_it(parts[0], split), []
    fitting, needed = list[str](), 0.0
    for each in worthy:
        needed += state.refit_seconds(each)
        if fitting:  # one process serves them all
            needed -= state.starts[state.rung(each.name).needs_torch]
        if needed <= seconds:
            fitting.append(each.name)
    if not fitting:
        return say("refit.too dear", needed=state.refit_seconds(worthy[0]), left=max(0.0, seconds)), []
    return "", fitting


def _open_test(state: State, chosen: RungRecord) -> None:
    if state.run.test_record(chosen.name) is None:
        rung = state.rung(chosen.name)
        ending = state.work(rung, max(state.purse.left, 60.0), act="test")
        if ending.how != "ok":
            made = state.record.verdict
            assert made is not None
            trouble = ending.reason.rstrip(".")
            state.save(verdict=replace(made, reason=say("climb.test failed", reason=made.reason, trouble=trouble)))
    state.save(test=state.run.test_record(chosen.name))
