"""Names are safe as one component of a path, on any system, or refused."""

import pytest

from darts.core.config import Config, build_config
from darts.core.errors import ConfigError
from darts.core.names import SafeName, random_id, random_name, safe_name


@pytest.mark.parametrize("name", ["a", "A1", "quiet-tundra", "v1.2_b+c-d", "0", "x" * 64, "a.b.c"])
def test_a_plain_name_is_taken_as_it_is(name):
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        "../etc/x",
        "/etc/x",
        "a/b",
        "a\\b",
        "-rf",
        ".hidden",
        "_x",
        "a b",
        "a\n",
        "a\0b",
        "a\x1b[31m",
        "x" * 65,
        "übung",
        "a\u202eb",
        "a\u200bb",
        "\uff11",
        "C:",
        "a*",
        "~",
    ],
)
def test_a_name_that_could_leave_its_folder_or_mislead_is_refused_in_one_printable_line(name):
    with pytest.raises(ConfigError, match="1 to 64 letters, digits") as caught:
        safe_name(name)
    assert str(caught.value).isprintable()


def test_a_setting_that_is_a_name_says_its_flag_the_rule_and_what_came():
    class Run(Config, frozen=True):
        run_name: SafeName | None = None

    assert build_config(Run, {"run_name": "good"}).run_name == "good"
    with pytest.raises(ConfigError, match=r"^--run-name: a name has 1 to 64 .*, but got '\.\./x'\.$"):
        build_config(Run, {"run_name": "../x"})


def test_random_names_and_ids_are_safe_and_differ():
    names, ids = {random_name() for _ in range(200)}, {random_id() for _ in range(200)}
    assert all(safe_name(name) == name for name in names | ids)
    assert all(len(one) == 8 and set(one) <= set("0123456789abcdef") for one in ids)
    assert len(ids) == 200
    assert len(names) > 100
