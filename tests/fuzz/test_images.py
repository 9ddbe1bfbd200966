"""Some photos with every test run; `make fuzz` has 10,000."""

from tests.fuzz.images import ENDED, MADE, REFUSED, check


def test_damaged_photos_end_nothing_but_their_own_process() -> None:
    count = check(300, seed=20)
    assert count.total() == count[MADE] + count[REFUSED] + count[ENDED] == 300
    assert count[MADE] >= 50
    assert count[REFUSED] >= 50
