"""Registries hold our functions by name, and take the user's own beside them."""

import itertools
from typing import Literal

import pytest

from raysweep.errors import UserError
from raysweep.registry import Entry, OwnFunction, Registry, check_options, taken

COUNT = itertools.count()
NUMBERS = {"root": Entry("math:sqrt", "The square root."), "log": Entry("math:log", "The logarithm.")}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of a user's, beside the package."""
    name = f"mine_{next(COUNT)}"  # a module that was imported under a name is not looked for again
    (tmp_path / f"{name}.py").write_text("number = 1\n\ndef twice(value):\n    return 2 * value\n")
    monkeypatch.chdir(tmp_path)
    return name


def test_a_name_stands_for_its_function():
    registry = Registry("number", dict(NUMBERS))
    assert registry.function("root")(4) == 2
    assert list(registry) == ["root", "log"]
    assert registry.check("log") == "log"
    registry.entries["power"] = Entry("math:pow", "A power.")
    assert registry.function("power")(2, 3) == 8


def test_a_users_function_is_as_good_as_a_name(mine):
    registry = Registry("number", dict(NUMBERS))
    assert registry.function(registry.check(f"{mine}:twice"))(4) == 8
    with pytest.raises(ValueError, match=r"did you mean 'root'.*root, log$"):
        Registry("number", dict(NUMBERS), own=False).check("roots")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{mine}:", "write module:function"),
        ("nowhere:twice", "there is no module 'nowhere'"),
        ("{mine}:thrice", "module {mine} has no 'thrice'"),
        ("{mine}:number", "number is not callable but of type int"),
    ],
)
def test_a_function_that_there_is_not_is_named(mine, name, message):
    name, message = (text.format(mine=mine) for text in (name, message))
    with pytest.raises(UserError, match=f"number '{name}': {message}"):
        Registry("number", dict(NUMBERS)).function(name)


def test_a_package_that_fails_around_a_module_is_said(tmp_path, monkeypatch):
    package = tmp_path / f"failing_{next(COUNT)}"
    package.mkdir()
    (package / "__init__.py").write_text("unknown\n")
    (package / "inner.py").write_text("")
    monkeypatch.chdir(tmp_path)
    module = f"{package.name}.inner"
    with pytest.raises(UserError, match=f"module '{module}' cannot be imported: NameError: name 'unknown'"):
        OwnFunction("number", f"{module}:twice").find()


def test_an_unknown_name_is_an_error_with_the_valid_ones():
    with pytest.raises(ValueError, match="valid choices: root, log, or module:function"):
        Registry("number", dict(NUMBERS)).check("cube")
    with pytest.raises(ValueError, match="unknown number 'cube'"):
        Registry("number", dict(NUMBERS)).function("cube")


def test_functions_get_the_arguments_that_they_name():
    assert taken(lambda loss, step: None, ("loss", "error")) == {"loss"}
    assert taken(lambda **given: None, ("loss", "error")) == {"loss", "error"}


def test_options_have_the_types_of_their_annotations():
    def function(
        data,
        rate: float = 1.0,
        layers: tuple[int, ...] = (),
        kind: Literal["a", "b"] = "a",
        size: int | list[int] = 1,
        rest=None,
        *,
        model: Registry | None = None,
    ):
        pass

    def refused(**options):
        try:
            check_options("function 'f'", "key", function, ("data",), options)
        except UserError as error:
            return str(error)
        return ""

    assert not refused(rate=1, layers=[1, 2], kind="b", rest={"any": "thing"})
    another = "function 'f' takes another type"
    assert refused(rate="1e-3") == f"key.rate = '1e-3': {another} (Input should be a valid number)"
    assert f"key.rate = True: {another}" in refused(rate=True)
    assert f"key.layers = [1, 'two']: {another}" in refused(layers=[1, "two"])
    assert "Input should be 'a' or 'b'" in refused(kind="c")
    assert "(Input should be a valid integer; Input should be a valid array)" in refused(size="x")
    assert "key.rat: function 'f' has no such option; did you mean 'rate'?" in refused(rat=1.0)
    assert "key.data: function 'f' is given this argument by raysweep" in refused(data=1)


def test_an_own_function_is_known_by_its_file(mine, tmp_path):
    own = OwnFunction("number", f"{mine}:twice")
    before = own.digest()
    (tmp_path / f"{mine}.py").write_text("def twice(value):\n    return value + value\n")
    assert own.digest() != before
    assert own.sources() == {f"{mine}.py": own.source()}
