"""Two checkouts are compared in turns; how long anything takes is not looked at."""

import pytest

from benchmarks import against
from benchmarks.against import NotMeasured
from benchmarks.work import OWN


class Checkout:
    """Samples that are known before, and a record of the turns."""

    def __init__(self, label, samples, turns):
        self.label, self.samples, self.turns = label, list(samples), turns

    def sample(self, name, threads):
        self.turns.append((self.label, name, threads))
        sample = self.samples.pop(0)
        if isinstance(sample, str):
            raise NotMeasured(sample)
        return {side: [value] for side, value in sample.items()}, "s"


def checkouts(base, this):
    turns = []
    both = {"base": Checkout("base", base, turns), "this": Checkout("this", this, turns)}
    return both, turns


def test_checkouts_take_turns_and_medians_are_compared():
    both, turns = checkouts(
        [{OWN: own} for own in (2.0, 4.0, 9.0)], [{OWN: own} for own in (1.0, 7.0, 2.0)]
    )
    texts = against.line("step/x", both, 3, 2).split()
    assert texts == ["step/x", "4", "s", "2", "s", "0.500"]
    assert turns == [("base", "step/x", 2), ("this", "step/x", 2)] * 3


def test_products_of_both_checkouts_are_one_scale():
    both, _ = checkouts(
        [{OWN: 4.0, "products": products} for products in (1.0, 2.0)],
        [{OWN: 3.0, "products": products} for products in (2.0, 5.0)],
    )
    texts = against.line("step/x", both, 2, 1).split()
    assert texts[1:] == ["4", "s", "3", "s", "0.750", "2", "s", "2.00", "1.50"]


def test_products_that_one_checkout_lacks_are_no_scale():
    both, _ = checkouts([{OWN: 4.0}], [{OWN: 2.0, "products": 1.0}])
    assert against.line("step/x", both, 1, 1).split()[-1] == "0.500"


def test_row_that_a_checkout_does_not_know_is_told_and_costs_no_more_turns():
    both, turns = checkouts(["does not know this row"], [])
    assert against.line("step/x", both, 3, 1).split(maxsplit=1)[1] == "base: does not know this row"
    assert len(turns) == 1


def test_directory_without_a_built_package_is_refused(tmp_path, capfd):
    with pytest.raises(SystemExit):
        against.main([str(tmp_path), "--rows", "step/20-100-2@200/*"])
    assert "error: " in capfd.readouterr().err


def test_unknown_row_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        against.main([str(tmp_path), "--rows", "no/such"])
    assert "no row is called 'no/such'" in capsys.readouterr().err
