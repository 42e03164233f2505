"""Settings by hand: every field by its name, refusals in one sentence, files, assignments, and round trips."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunti.cli.train import read_assignments, read_config
from yunti.errors import OptionError, SourceError
from yunti.models.recipe import Augment, Recipe
from yunti.models.settings import ENGINE, TRAINING, Engine, Settings, flat, plain, settings_from

DERIVED = Recipe(batch=64, epochs=10, learning_rate=1e-3, augment=Augment(shift=0.25))
HOMES = {"training.": Recipe, "training.augment.": Augment, "engine.": Engine}
SHARES = ("warmup", "decay", "smoothing", "momentum", "average", "patience")


def fields_of(home):
    hints = get_type_hints(home)
    return {each.name: hints[each.name] for each in fields(home) if hints[each.name] is not Augment}


NAMES = {f"{prefix}{name}": kind for prefix, home in HOMES.items() for name, kind in fields_of(home).items()}


def value_of(name, kind):
    """Return a value that a field can take and that is not its usual one."""
    if get_args(kind) and isinstance(get_args(kind)[0], str):
        return get_args(kind)[-1]
    if kind is bool:
        return True
    if kind is int:
        return 17
    if kind is float:
        return 0.375
    return (("head", 0.5), ("bias", 2.0))


def found(settings, name):
    recipe = settings.recipe(DERIVED)
    if name.startswith("training.augment."):
        return getattr(recipe.augment, name.removeprefix("training.augment."))
    if name.startswith("training."):
        return getattr(recipe, name.removeprefix("training."))
    return getattr(settings.engine, name.removeprefix("engine."))


def test_the_names_are_the_fields_of_recipe_augment_and_engine():
    assert set(TRAINING) | set(ENGINE) == set(NAMES)
    assert all(each.default is not MISSING for each in fields(Engine))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_can_be_set_by_its_name_as_a_value_and_as_text(name):
    value = value_of(name, NAMES[name])
    before = found(Settings(), name)
    assert value != before
    texts = [json.dumps(value) if isinstance(value, tuple) else str(value)]
    for given_value in (value, *texts, json.loads(json.dumps(value))):
        settings = settings_from([(name, given_value)])
        assert found(settings, name) == value
        assert type(found(settings, name)) is type(value)
        assert settings != Settings()
    others = [other for other in NAMES if other != name]
    assert [other for other in others if found(settings, other) != found(Settings(), other)] == []


def test_nothing_set_changes_nothing():
    assert settings_from([]) == Settings()
    assert Settings().recipe(DERIVED) == DERIVED
    assert Settings().shape({"width": 3}, "mlp") == {"width": 3}
    assert settings_from([]) == Settings()
    assert plain(Settings()) == {}
    assert Settings().dial == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_name_is_refused_with_the_nearest(name):
    with pytest.raises(OptionError) as refused:
        settings_from([(f"{name}s", 1)])
    assert f"did you mean '{name}'?" in str(refused.value)


@pytest.mark.parametrize("name", ["epochs", "training", "training.", "model", "model.", "engine", "nothing.at.all", ""])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(OptionError, match="the setting must be known"):
        settings_from([(name, 3)])


WRONG = [
    ("training.epochs", "many", "a valid number"),
    ("training.batch", 2.5, "a valid integer"),
    ("training.batch", "12.5", "a valid integer"),
    ("training.optimiser", "adagrad", "'adamw', 'adam', 'sgd' or 'muon'"),
    ("training.schedule", 3, "'wsd', 'cosine', 'linear' or 'constant'"),
    ("training.augment.mirror", "perhaps", "a valid boolean"),
    ("training.rates", "head", "json"),
    ("training.rates", '[["head"]]', "required"),
    ("training.clip", None, "a valid number"),
    ("training.l1", [1], "a valid number"),
    ("engine.precision", "fp8", "'fp16'"),
    ("engine.compile", True, "'never'"),
    ("engine.micro_batch", "a few", "a valid integer"),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_value_of_another_kind_is_refused_in_one_sentence(name, value, said):
    with pytest.raises(OptionError) as refused:
        settings_from([(name, value)])
    sentence = str(refused.value)
    assert sentence.startswith(f"{name}: its value must be of its kind, but {value!r} is not; ")
    assert said in sentence.lower()
    assert "\n" not in sentence


RANGES = [
    *[(f"training.{name}", value) for name in ("batch", "epochs", "learning_rate") for value in (0, -1)],
    ("training.clip", -1),
    *[(f"training.{name}", value) for name in SHARES[:-1] for value in (1.0, 1.5, -0.1)],
    ("training.weight_decay", -0.1),
    ("training.l1", -1.0),
    ("training.patience", -0.5),
    ("training.augment.mixup", -0.5),
    ("engine.micro_batch", -1),
    ("engine.checkpoint_seconds", -5.0),
    ("model.dial", 0),
    ("model.dial", "-1"),
    ("model.dial", "wide"),
    ("model.width", -3),
]


@pytest.mark.parametrize(("name", "value"), RANGES)
def test_a_value_out_of_its_range_is_refused_in_one_sentence(name, value):
    with pytest.raises(OptionError) as refused:
        settings_from([(name, value)])
    assert str(refused.value).startswith(f"{name}: it must ")
    assert "give" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_later_of_two_values_wins():
    settings = settings_from([("training.epochs", 3), ("engine.compile", "always"), ("training.epochs", "7")])
    assert settings.recipe(DERIVED).epochs == 7


def test_the_shape_takes_what_is_like_its_own():
    derived = {"width": 64, "dropout": 0.1, "widths": [8, 16], "gated": False, "folds": {"text.0": 1}, "kind": "plain"}
    texts = {"width": "32", "dropout": "1", "widths": "[4, 4, 4]", "gated": "true", "kind": "gated"}
    given_values = {**texts, "folds": '{"text.0": 2}'}
    settings = settings_from({f"model.{name}": value for name, value in given_values.items()}.items())
    assert settings.shape(derived, "mlp") == {
        "width": 32, "dropout": 1.0, "widths": [4, 4, 4], "gated": True, "folds": {"text.0": 2}, "kind": "gated",
    }  # fmt: skip
    assert isinstance(settings.shape(derived, "mlp")["dropout"], float)
    assert derived["width"] == 64


@pytest.mark.parametrize(
    ("name", "value", "derived", "kind"),
    [
        ("width", 3.5, 64, "int"),
        ("width", "wide", 64, "int"),
        ("width", True, 64, "int"),
        ("dropout", "[0.1]", 0.1, "float"),
        ("widths", 8, [8, 16], "list"),
        ("gated", 1, False, "bool"),
    ],
)
def test_the_shape_refuses_what_is_of_another_kind(name, value, derived, kind):
    settings = settings_from([(f"model.{name}", value)])
    with pytest.raises(OptionError) as refused:
        settings.shape({name: derived}, "mlp")
    assert str(refused.value).startswith(f"model.{name}: its value must be like the derived {derived!r} ({kind}), but ")


def test_the_shape_refuses_a_name_it_does_not_have_with_the_nearest():
    settings = settings_from([("model.widht", 3)])
    with pytest.raises(OptionError, match="did you mean 'width'"):
        settings.shape({"width": 64}, "mlp")


def test_the_dial_is_no_part_of_the_shape():
    settings = settings_from([("model.dial", "0.5")])
    assert settings.dial == 0.5
    assert settings.shape({"width": 64}, "mlp") == {"width": 64}


def numbers(kind, name):
    if name.rpartition(".")[2] in SHARES:
        return st.floats(0, 0.99)
    if kind is int:
        return st.integers(1, 10**6)
    return st.floats(1e-6, 1e6)


def values():
    """Some of all settings, each with a value that it can take."""
    strategies = {}
    for name, kind in NAMES.items():
        if get_args(kind) and isinstance(get_args(kind)[0], str):
            strategies[name] = st.sampled_from(get_args(kind))
        elif kind is bool:
            strategies[name] = st.booleans()
        elif kind in (int, float):
            strategies[name] = numbers(kind, name)
        else:
            strategies[name] = st.lists(st.tuples(st.text(max_size=5), st.floats(0, 9))).map(tuple)
    strategies["model.width"] = st.integers(0, 99)
    strategies["model.dropout"] = st.floats(0, 1)
    strategies["model.widths"] = st.lists(st.integers(0, 9))
    return st.fixed_dictionaries({}, optional=strategies)


@given(values())
def test_plain_settings_make_the_same_settings_also_by_way_of_json(given_values):
    settings = settings_from(given_values.items())
    assert settings_from(plain(settings).items()) == settings
    assert settings_from(json.loads(json.dumps(plain(settings))).items()) == settings
    assert {name for name in plain(settings) if not name.startswith("engine.")} == {
        name for name in given_values if not name.startswith("engine.")
    }


@given(values())
def test_nested_settings_are_the_flat_ones(given_values):
    tree = {}
    for name, value in given_values.items():
        *parts, last = name.split(".")
        inner = tree
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = value
    assert settings_from(flat(tree)) == settings_from(given_values.items())


YAML = """
training:
  learning_rate: 1e-3
  epochs: 20
  augment: {mirror: yes, shift: 0.1}
  rates: [[head, 0.5]]
model: {width: 32}
engine:
  precision: bf16
"""
TOML = """
[training]
learning_rate = 1e-3
epochs = 20
rates = [["head", 0.5]]
augment = {mirror = true, shift = 0.1}
[model]
width = 32
[engine]
precision = "bf16"
"""
JSON = json.dumps(
    {
        "training": {"learning_rate": 1e-3, "epochs": 20, "rates": [["head", 0.5]]},
        "training.augment": {"mirror": True, "shift": 0.1},
        "model.width": 32,
        "engine": {"precision": "bf16"},
    }
)


@pytest.mark.parametrize(("suffix", "text"), [("yaml", YAML), ("yml", YAML), ("toml", TOML), ("json", JSON)])
def test_a_file_of_settings_says_the_same_in_every_form(tmp_path, suffix, text):
    path = tmp_path / f"settings.{suffix}"
    path.write_text(text, encoding="utf-8")
    settings = settings_from(read_config(str(path)))
    recipe = settings.recipe(DERIVED)
    assert (recipe.learning_rate, recipe.epochs, recipe.rates) == (1e-3, 20.0, (("head", 0.5),))
    assert recipe.augment == Augment(mirror=True, shift=0.1)
    assert settings.model == {"width": 32}
    assert settings.engine == Engine(precision="bf16")


def test_no_file_sets_nothing():
    assert read_config(None) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", b"training: {epochs: 3", "valid YAML, JSON or TOML"),
        ("a.yaml", b"a: b: c", "valid YAML, JSON or TOML"),
        ("a.yaml", b"--- 1\n--- 2\n", "valid YAML, JSON or TOML"),
        ("a.toml", b"[training\nepochs = 3", "valid YAML, JSON or TOML"),
        ("a.json", b'{"training": ', "valid YAML, JSON or TOML"),
        ("a.yaml", b"- training\n- 3\n", "holds list"),
        ("a.yaml", b"", "holds NoneType"),
        ("a.yaml", b"only words", "holds str"),
        ("a.yaml", b"\xff\xfe\xfa", "readable"),
        ("a.toml", b"epochs = '\xff'", "it is not text"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_in_one_sentence(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as refused:
        read_config(str(path))
    assert str(refused.value).startswith(str(path))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        read_config(str(tmp_path / "none.yaml"))
    with pytest.raises(SourceError, match="Is a directory"):
        read_config(str(tmp_path))


def test_assignments_are_split_at_the_first_equals_sign():
    read = read_assignments(["training.epochs = 3 ", "model.name=a=b", "model.rest="])
    assert read == [("training.epochs", "3"), ("model.name", "a=b"), ("model.rest", "")]
    assert read_assignments(None) == read_assignments([]) == []


@pytest.mark.parametrize("given_text", ["training.epochs", "=3", ""])
def test_an_assignment_without_name_or_equals_sign_is_refused(given_text):
    with pytest.raises(OptionError, match="must be NAME=VALUE"):
        read_assignments([given_text])


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_taken_or_refused_with_a_sentence(name, value):
    try:
        settings_from(read_assignments([f"{name}={value}"]))
    except OptionError as error:
        assert str(error)
