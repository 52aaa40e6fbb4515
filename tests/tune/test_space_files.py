"""Files with search spaces: both forms, in YAML and in TOML, and every refusal."""

import math
from pathlib import Path

import pytest

from darts.core.errors import ConfigError
from darts.training.config import AUGMENTATIONS, DEFAULT_AUGMENTATIONS, Hyperparameters
from darts.tune.space import Choice, Constant, Range, Space
from darts.tune.space_files import LARGEST_FILE, parse_hyperparameters, read_space_file
from studies import PLANET_SWEEP

ALL_NINE = """
[darts.training]
max-epochs = 60

[darts.hyperparameters]
batch-size = 6

[hyperparameters]
model-arch = ["Unet", "MAnet"]
model-encoder = "dpn107"
model-encoder-weights = ["none", "imagenet"]
augment = [true, false]
learning-rate = { distribution = "loguniform", low = 1e-5, high = 1e-3 }
gamma = { distribution = "value", value = 0.9 }
focal-loss-alpha = { low = 0.8, high = 0.99 }
focal-loss-gamma = { distribution = "uniform", low = 0.0, high = 2.0 }
batch-size = { distribution = "choice", choices = [4, 8] }
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "space.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def own(write):
    """The one dimension of a file with `hyperparameters`."""

    def read(entry: str):
        return next(iter(read_space_file(write(f"hyperparameters: {{{entry}}}")).space.dimensions.values()))

    return read


@pytest.fixture
def wandb(write):
    """The one dimension of a W&B sweep file."""

    def read(entry: str):
        path = write(f"method: random\nparameters: {{{entry}}}")
        return next(iter(read_space_file(path).space.dimensions.values()))

    return read


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_space_file(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


# Whole files


def test_the_sweep_file_of_the_guide_is_read_as_it_stands(write):
    found = read_space_file(write(PLANET_SWEEP, "planet-tcvis-sweep.yaml"))
    assert (found.name, found.method, found.metric) == ("planet-tcvis-large", "random", "val/JaccardIndex:higher")
    assert found.early_terminate is None
    assert found.space == Space(
        {
            "learning_rate": Range(1e-5, 1e-3, scale="log"),
            "gamma": Constant(0.997),
            "focal_loss_alpha": Range(0.8, 0.99),
            "focal_loss_gamma": Range(0.0, 2.0),
            "model_arch": Choice(("Unet", "MAnet", "UPerNet", "Segformer")),
            "model_encoder": Choice(
                ("resnet50", "resnext50_32x4d", "mit_b2", "tu-convnextv2_tiny", "tu-maxvit_tiny_rw_224")
            ),
        }
    )


def test_all_nine_hyperparameters_can_stand_in_the_config_file(write):
    found = read_space_file(write(ALL_NINE, "config.toml"))
    assert set(found.space.dimensions) <= set(Hyperparameters.model_fields)
    assert (found.name, found.method, found.metric, found.early_terminate) == (None, None, None, None)
    assert found.space.dimensions == {
        "augment": Choice((True, False)),
        "batch_size": Choice((4, 8)),
        "focal_loss_alpha": Range(0.8, 0.99),
        "focal_loss_gamma": Range(0.0, 2.0),
        "gamma": Constant(0.9),
        "learning_rate": Range(1e-5, 1e-3, scale="log"),
        "model_arch": Choice(("Unet", "MAnet")),
        "model_encoder": Constant("dpn107"),
        "model_encoder_weights": Choice((None, "imagenet")),
    }


@pytest.mark.parametrize("text", [PLANET_SWEEP, ALL_NINE], ids=["sweep", "config"])
def test_every_point_of_a_file_makes_hyperparameters(write, text):
    space = read_space_file(write(text, "a.toml" if text is ALL_NINE else "a.yml")).space
    for k in range(50):
        Hyperparameters(**space.point(1, k))


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("pos_weight: [auto, 3, none]", Choice(("auto", 3, None))),
        ("loss: [focal, 'bce + 0.5 * dice']", Choice(("focal", "bce + 0.5 * dice"))),
        ("class_weights: ['0.4,0.6', none]", Choice(("0.4,0.6", None))),
        ("class_weights: [[0.4, 0.6]]", Choice(("0.4,0.6",))),
        ("model_options: ['decoder_channels=[64,32,16,8,4]']", Choice(("decoder_channels=[64,32,16,8,4]",))),
        ("swa: [true, false]", Choice((True, False))),
        ("normalisation: z-score", Constant("z-score")),
        ("positive_fraction: {low: 0.1, high: 0.9}", Range(0.1, 0.9)),
    ],
)
def test_every_kind_of_hyperparameter_can_be_varied(write, text, dimension):
    (found,) = read_space_file(write(f"hyperparameters: {{{text}}}")).space.dimensions.values()
    assert found == dimension


def test_two_options_of_a_model_at_once_are_refused(write):
    with pytest.raises(ConfigError, match="one option of a model at a time"):
        read_space_file(write("hyperparameters: {model_options: [['a=1', 'b=2']]}"))


def test_a_sweep_can_be_written_in_toml(write):
    text = 'method = "grid"\n[metric]\nname = "val/Recall"\n[parameters.batch-size]\nvalues = [4, 8]\n'
    found = read_space_file(write(text, "sweep.toml"))
    assert (found.method, found.metric) == ("grid", "val/Recall")
    assert found.space.dimensions == {"batch_size": Choice((4, 8))}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "hyperparameters:\n- gamma: 0.9\n- batch-size: [4, 8]\n"),
        ("a.toml", "[[hyperparameters]]\ngamma = 0.9\n[[hyperparameters]]\nbatch-size = [4, 8]\n"),
    ],
)
def test_hyperparameters_can_be_a_list(write, name, text):
    space = read_space_file(write(text, name)).space
    assert space.dimensions == {"batch_size": Choice((4, 8)), "gamma": Constant(0.9)}


def test_a_byte_order_mark_does_no_harm(write):
    assert read_space_file(write(b"\xef\xbb\xbfhyperparameters: {gamma: 0.9}")).space.size == 1


def test_python_takes_what_stands_below_the_key():
    entries = {"learning-rate": {"low": 1e-4, "high": 1e-2}, "gamma": [0.9, 0.99]}
    expected = {"gamma": Choice((0.9, 0.99)), "learning_rate": Range(1e-4, 1e-2)}
    assert parse_hyperparameters(entries).dimensions == expected
    assert parse_hyperparameters([{name: entry} for name, entry in entries.items()]).dimensions == expected
    with pytest.raises(ConfigError, match=r"^gamma: .*less than or equal to 1.* got 2"):
        parse_hyperparameters({"gamma": 2})


# The spellings of our own form


@pytest.mark.parametrize(
    ("entry", "dimension"),
    [
        ("learning_rate: 0.01", Constant(0.01)),
        ("learning-rate: [0.1, 0.01]", Choice((0.1, 0.01))),
        ("learning_rate: {low: 0.01, high: 0.1}", Range(0.01, 0.1)),
        ("learning_rate: {distribution: uniform, low: 0.01, high: 0.1}", Range(0.01, 0.1)),
        ("focal_loss_alpha: {distribution: uniform, low: 0, high: 1, step: 0.25}", Range(0, 1, step=0.25)),
        ("learning_rate: {distribution: loguniform, low: 0.01, high: 0.1}", Range(0.01, 0.1, scale="log")),
        ("batch_size: {distribution: intuniform, low: 4, high: 32}", Range(4, 32, integer=True)),
        ("focal_loss_gamma: {distribution: intuniform, low: 0, high: 3}", Range(0, 3, integer=True)),
        ("batch_size: {low: 4, high: 32}", Range(4, 32, integer=True)),
        ("batch_size: {distribution: choice, choices: [4, 8]}", Choice((4, 8))),
        ("gamma: {distribution: value, value: 0.9}", Constant(0.9)),
        ("gamma: {distribution: constant, value: 0.9}", Constant(0.9)),
        (
            "gamma: {distribution: reversed-loguniform, low: 0.001, high: 0.1}",
            Range(0.001, 0.1, scale="reversed-log"),
        ),
        (
            "focal_loss_gamma: {distribution: reversed-loguniform, low: 0.1, high: 1, n: 3}",
            Range(0.1, 1, scale="reversed-log", offset=3),
        ),
    ],
)
def test_each_distribution_of_our_own_form(own, entry, dimension):
    assert own(entry) == dimension


@pytest.mark.parametrize(
    ("entry", "dimension"),
    [
        ("learning_rate: 1e-3", Constant(0.001)),
        ("learning_rate: [1e-3, '1e-4', 1E5]", Choice((0.001, 0.0001, 1e5))),
        ("learning_rate: {low: 1e-5, high: 1e-3}", Range(1e-5, 1e-3)),
        ("learning_rate: {distribution: loguniform, low: 1e-5, high: 1e-3}", Range(1e-5, 1e-3, scale="log")),
        ("batch_size: ['4', 8.0]", Choice((4, 8))),
        ("batch_size: 1e1", Constant(10)),
        ("model_arch: 1e-3", Constant("1e-3")),
    ],
)
def test_numbers_that_yaml_takes_for_text_are_numbers_where_one_is_needed(own, entry, dimension):
    found = own(entry)
    assert found == dimension
    assert [type(v) for v in getattr(found, "values", ())] == [type(v) for v in getattr(dimension, "values", ())]


@pytest.mark.parametrize(
    ("entry", "dimension"),
    [
        ("model_encoder_weights: none", Constant(None)),
        ("model_encoder_weights: null", Constant(None)),
        ("focal_loss_alpha: [None, 0.9]", Choice((None, 0.9))),
        ("model_arch: none", Constant("none")),
        ("augment: none", Constant(False)),
        ("augment: yes", Constant(True)),
        ("augment: 'All'", Constant(",".join(AUGMENTATIONS))),
        ("augment: flip", Constant("flip")),
        ("augment: 'flip, rotate90'", Constant("flip,rotate90")),
        ("augment: [true, [flip, rotate90], []]", Choice((True, "flip,rotate90", False))),
        ("augment: {distribution: value, value: [flip, blur]}", Constant("flip,blur")),
        ("augment: {distribution: value, value: " + str(list(DEFAULT_AUGMENTATIONS)) + "}", Constant(True)),
        ("bands: 'blue, green,red'", Constant("blue,green,red")),
        ("bands: {distribution: value, value: [blue, green]}", Constant("blue,green")),
        ("bands: [[blue, green], [blue, green, red]]", Choice(("blue,green", "blue,green,red"))),
    ],
)
def test_words_and_lists_have_one_form(own, entry, dimension):
    assert own(entry) == dimension


# The spellings of W&B


@pytest.mark.parametrize(
    ("entry", "dimension"),
    [
        ("gamma: {value: 0.9}", Constant(0.9)),
        ("gamma: {distribution: constant, value: 0.9}", Constant(0.9)),
        ("batch_size: {values: [4, 8]}", Choice((4, 8))),
        ("batch_size: {distribution: categorical, values: [4, 8]}", Choice((4, 8))),
        ("batch-size: {min: 4, max: 32}", Range(4, 32, integer=True)),
        ("focal_loss_gamma: {min: 0, max: 2}", Range(0, 2, integer=True)),
        ("focal_loss_gamma: {min: 0, max: 2.0}", Range(0, 2.0)),
        ("batch_size: {min: 4.0, max: 32.0}", Range(4, 32, integer=True)),
        ("batch_size: {distribution: int_uniform, min: 4, max: 32}", Range(4, 32, integer=True)),
        ("focal_loss_gamma: {distribution: uniform, min: 0, max: 2}", Range(0, 2)),
        ("focal_loss_gamma: {distribution: q_uniform, min: 0, max: 2, q: 0.5}", Range(0, 2, step=0.5)),
        ("focal_loss_gamma: {distribution: q_uniform, min: 0, max: 2}", Range(0, 2, step=1)),
        ("batch_size: {distribution: q_uniform, min: 8, max: 32, q: 8}", Range(8, 32, step=8, integer=True)),
        ("learning_rate: {distribution: log_uniform_values, min: 1e-5, max: 1e-3}", Range(1e-5, 1e-3, scale="log")),
        ("learning_rate: {distribution: inv_log_uniform_values, min: 1e-5, max: 1e-3}", Range(1e-5, 1e-3, scale="log")),
        (
            "learning_rate: {distribution: log_uniform, min: -9, max: -2}",
            Range(math.exp(-9), math.exp(-2), scale="log"),
        ),
        (
            "learning_rate: {distribution: inv_log_uniform, min: 2, max: 9}",
            Range(math.exp(-9), math.exp(-2), scale="log"),
        ),
        ("bands: {value: [blue, green]}", Constant("blue,green")),
        ("augment: {values: [[flip, blur], false]}", Choice(("flip,blur", False))),
    ],
)
def test_each_distribution_of_wandb(wandb, entry, dimension):
    assert wandb(entry) == dimension


@pytest.mark.parametrize(
    ("entry", "named", "instead"),
    [
        (
            "{distribution: categorical_w_probabilities, values: [1], probabilities: [1]}",
            "categorical_w_probabilities",
            "values",
        ),
        ("{values: [0.1, 0.2], probabilities: [0.5, 0.5]}", "categorical_w_probabilities", "values"),
        ("{distribution: q_log_uniform, min: 0, max: 1}", "q_log_uniform", "log_uniform_values"),
        ("{distribution: q_log_uniform_values, min: 1, max: 2}", "q_log_uniform_values", "log_uniform_values"),
        ("{distribution: normal, mu: 0}", "normal", "uniform"),
        ("{distribution: q_normal, mu: 0}", "q_normal", "q_uniform"),
        ("{distribution: log_normal}", "log_normal", "log_uniform_values"),
        ("{distribution: q-log-normal}", "q_log_normal", "log_uniform_values"),
        ("{distribution: beta, a: 1}", "beta", "uniform"),
        ("{distribution: q_beta}", "q_beta", "q_uniform"),
        ("{parameters: {a: {value: 1}}}", "nested parameters", "directly below"),
        ("{distribution: log_unifrom, min: 1, max: 2}", "log_unifrom", "'log_uniform'"),
        ("{distribution: log_uniform, min: 1, max: 1000}", "powers of e", "log_uniform_values"),
        ("{min: 0.1}", "needs min and max", "'min'"),
        ("{min: 0.1, max: 0.2, q: 0.1}", "needs min and max", "'min, max, q'"),
        ("{mu: 1}", "value, values, or min and max", "'mu'"),
        ("{values: 0.1}", "a list", "0.1"),
        ("0.1", "a mapping", "value: ..."),
    ],
)
def test_what_optuna_or_wandb_can_not_express_is_refused_by_name(write, entry, named, instead):
    message = refusal(write(f"method: random\nparameters: {{learning_rate: {entry}}}"))
    assert message.startswith("learning_rate: ")
    assert named in message
    assert instead in message


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("{name: val0/JaccardIndex, goal: maximize}", "val/JaccardIndex:higher"),
        ("{name: val12/loss, goal: minimize}", "val/loss:lower"),
        ("{name: val/Recall}", "val/Recall"),
        ("{name: val/Recall, goal: maximize, target: 0.9}", "val/Recall:higher"),
        ("null", None),
    ],
)
def test_the_metric_has_one_form(write, metric, expected):
    assert read_space_file(write(f"metric: {metric}\nparameters: {{gamma: {{value: 0.9}}}}")).metric == expected


def test_keys_that_tell_wandb_how_to_start_runs_are_passed_over(write):
    keys = "program: train.py\nproject: p\nentity: e\ndescription: d\nrun_cap: 3\ncommand: [a, b]\nname: 7\n"
    found = read_space_file(write(keys + "method: bayes\nparameters: {gamma: {value: 0.9}}"))
    assert (found.method, found.name) == ("bayes", "7")


def test_early_terminate_can_be_wilcoxon(write):
    path = write("early_terminate: {type: wilcoxon}\nparameters: {gamma: {value: 0.9}}")
    assert read_space_file(path).early_terminate == "wilcoxon"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("early_terminate: {type: hyperband, min_iter: 3}", ["'hyperband'", "--pruner wilcoxon"]),
        ("early_terminate: {type: envelope}", ["'envelope'", "across its folds"]),
        ("early_terminate: {type: wilcoxon, p: 0.1}", ["needs type", "'type, p'"]),
        ("early_terminate: wilcoxon", ["a mapping", "type: wilcoxon"]),
        ("method: custom", ["random, grid, bayes", "'custom'"]),
        ("metric: val/Recall", ["a mapping", "name: ..."]),
        ("metric: {goal: maximize}", ["metric: this needs name"]),
        ("metric: {name: val/Recall, goal: max}", ["'max'", "did you mean 'maximize'"]),
        ("metric: {name: val/Recall, gaol: maximize}", ["metric:", "goal"]),
        ("metric: {name: JaccardIndex}", ["val/NAME", "'JaccardIndex'"]),
        ("name: [a]", ["name is a text"]),
        ("metod: random", ["'metod'", "did you mean 'method'"]),
        ("metrics: []", ["'metrics'", "did you mean 'metric'"]),
        ("darts: {}", ["'darts'", "parameters"]),
    ],
)
def test_wrong_keys_of_a_sweep_are_refused(write, line, parts):
    message = refusal(write(f"{line}\nparameters: {{gamma: {{value: 0.9}}}}"))
    assert all(part in message for part in parts), message


# Refusals of both forms


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("learning_rat: 0.1", ["'learning_rat'", "did you mean 'learning_rate'", "bands"]),
        ("max_epochs: 3", ["'max_epochs'", "model_arch", "batch_size"]),
        ("no: 3", ["'False'"]),
        ("gamma: 0.9, gamma: 0.8", ["'gamma' comes again in line 1"]),
        ("learning-rate: 0.9, learning_rate: 0.8", ["learning_rate came twice"]),
        ("gamma: 1.5", ["gamma: input should be less than or equal to 1", "1.5"]),
        ("gamma: [0.9, 1.5]", ["gamma:", "1.5"]),
        ("gamma: {low: 0.9, high: 1.5}", ["gamma:", "got 1.5"]),
        ("gamma: {low: 0, high: 0.9}", ["gamma: input should be greater than 0", "got 0"]),
        ("gamma: {distribution: reversed-loguniform, low: 0.1, high: 1}", ["greater than 0", "0.0"]),
        ("gamma: {distribution: reversed-loguniform, low: 0.1, high: 0.2, n: 2}", ["equal to 1", "1.8"]),
        ("gamma: {low: 0.9, high: 0.8}", ["from a smaller number", "0.9 to 0.8"]),
        ("gamma: {low: 0.9, high: 0.9}", ["from a smaller number"]),
        ("focal_loss_gamma: {low: 0, high: .inf}", ["finite number", "inf"]),
        ("focal_loss_gamma: .inf", ["finite number", "inf"]),
        ("learning_rate: .nan", ["finite number", "nan"]),
        ("learning_rate: fast", ["finite number", "'fast'"]),
        ("learning_rate: yes", ["finite number", "True"]),
        ("batch_size: [4, true]", ["finite number", "True"]),
        ("learning_rate: null", ["valid number", "None"]),
        ("focal_loss_gamma: {distribution: loguniform, low: 0, high: 1}", ["begins above 0"]),
        ("focal_loss_gamma: {distribution: uniform, low: 0, high: 1, step: 0}", ["step is above 0"]),
        ("gamma: []", ["at least one value"]),
        ("gamma: {distribution: choice, choices: []}", ["at least one value"]),
        ("gamma: {distribution: choice, choices: 0.9}", ["a list"]),
        ("gamma: [0.9, '9e-1']", ["0.9 twice"]),
        ("augment: [[flip], flip]", ["'flip' twice"]),
        ("augment: flop", ["augment:", "'flop'"]),
        ("augment: {low: 0, high: 1}", ["no number", "list its values"]),
        ("model_arch: {low: 0, high: 1}", ["no number"]),
        ("model_arch: [[Unet]]", ["valid string"]),
        ("model_encoder_weights: no", ["valid string", "False"]),
        ("bands: ''", ["names of bands"]),
        ("bands: 'a,,b'", ["names of bands"]),
        ("bands: [[]]", ["names of bands"]),
        ("bands: 4", ["names of bands", "4"]),
        ("batch_size: 0", ["greater than 0"]),
        ("batch_size: 4.5", ["batch_size:", "4.5"]),
        ("batch_size: {low: 4.5, high: 8}", ["whole"]),
        ("batch_size: {distribution: uniform, low: 4, high: 8}", ["whole numbers", "use intuniform"]),
        ("batch_size: {distribution: loguniform, low: 4, high: 8}", ["whole numbers", "list its values"]),
        ("gamma: {low: 0.9}", ["has low and high", "'low'"]),
        ("gamma: {min: 0.9, max: 1}", ["has low and high", "'min, max'"]),
        ("gamma: {distribution: uniform, low: 0.1, high: 1, q: 1}", ["may have step"]),
        ("gamma: {distribution: value}", ["needs value"]),
        ("gamma: {value: 0.9}", ["has low and high", "write a value"]),
        ("gamma: {distribution: normal, low: 0.1, high: 1}", ["'normal'", "intuniform"]),
        ("gamma: {distribution: log-uniform, low: 0.1, high: 1}", ["did you mean 'loguniform'"]),
        ("", ["empty"]),
    ],
)
def test_a_broken_rule_is_named_with_the_parameter_and_the_value(write, entry, parts):
    message = refusal(write(f"hyperparameters: {{{entry}}}"))
    assert all(part in message for part in parts), message


def test_the_rules_hold_for_sweeps_of_wandb_too(write):
    message = refusal(write("parameters: {batch_size: {distribution: uniform, min: 4, max: 8}}"))
    assert "int_uniform" in message
    assert "gamma: " in refusal(write("parameters: {gamma: {min: 0.5, max: 1.5}}"))
    assert "did you mean 'gamma'" in refusal(write("parameters: {gama: {value: 0.5}}"))


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.yaml", "hyperparameters: {gamma: 1}\nparameters: {gamma: {value: 1}}", "keep one form"),
        ("a.yaml", "hyperparameters: {gamma: 1}\nmethod: grid", "'method'"),
        ("a.yaml", "a: 1", "below the key 'hyperparameters'"),
        ("a.yaml", "", "keys with values"),
        ("a.yaml", "- 1", "keys with values"),
        ("a.yaml", "hyperparameters:", "got None"),
        ("a.yaml", "hyperparameters: [gamma]", "maps names"),
        ("a.yaml", "a: [", "not valid YAML"),
        ("a.yaml", "a: !!python/name:os.system x", "not valid YAML"),
        ("a.yaml", "a: !!float x", "not valid YAML"),
        ("a.yaml", "a: 1\n---\nb: 2", "not valid YAML"),
        ("a.yaml", "a: \x07", "not valid YAML"),
        ("a.yaml", "[" * 5000, "nested too deeply"),
        ("a.toml", "a = " + "[" * 5000, "nested too deeply"),
        ("a.toml", "a = ", "not valid TOML"),
        ("a.toml", "a = 1\na = 2", "not valid TOML"),
        ("a.toml", "[darts.hyperparameters]\ngamma = 1", "not below [darts]"),
        ("a.json", "{}", "'.json'"),
        ("a.yaml", b"\xff\xfe\x00", "UTF-8"),
        ("a.yaml", "#" * (LARGEST_FILE + 1), "at most"),
    ],
)
def test_a_file_without_a_readable_space_is_refused(write, name, text, part):
    assert part in refusal(write(text, name))


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.yaml")
    (tmp_path / "folder.toml").mkdir()
    assert "can't be read" in refusal(tmp_path / "folder.toml")


def test_anchors_are_refused_before_they_can_blow_up(write):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "anchors and aliases" in refusal(write(f"{bomb}hyperparameters: {{gamma: [*i]}}"))
    assert "anchors and aliases" in refusal(write("hyperparameters: {gamma: *b}"))
