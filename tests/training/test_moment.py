import pytest

from raysweep.training.moment import Moment, steps_per_epoch


def test_one_type_for_steps_and_epochs():
    assert Moment.parse(3).step(per_epoch=22) == 66
    assert Moment.parse("0.5ep").step(per_epoch=22) == 11
    assert Moment.parse("200st").step(per_epoch=22) == Moment.parse("200 steps").step(per_epoch=1) == 200
    assert Moment.parse(Moment.parse("2ep")) == Moment.parse(str(Moment.parse("2 epochs"))) == Moment(2)


@pytest.mark.parametrize("text", ["1234567st", "1000000st", "0.0000125ep", "12.3456789ep", "3ep"])
def test_a_moment_is_written_with_all_its_digits(text):
    assert str(Moment.parse(text)) == text


@pytest.mark.parametrize("value", ["3 weeks", -1, "1.5st", True, None, [1]])
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(ValueError, match=r"expected a number of epochs|whole number"):
        Moment.parse(value)


def test_steps_of_an_epoch():
    assert (steps_per_epoch(100, 32, drop_last=False), steps_per_epoch(100, 32, drop_last=True)) == (4, 3)
