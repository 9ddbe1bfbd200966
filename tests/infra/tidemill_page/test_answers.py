"""What functions answer is added up, where it says so."""

from tidemill_page import Answered, Answers


def test_answers_are_added_up_and_others_change_nothing() -> None:
    answers = Answers()
    for answer in (
        b'{"applied": {"requests": 10, "write_calls": 1, "quarantined": 2}}',
        b"null",
        b"not JSON",
        b"[]",
        b'{"applied": {}}',
        b'{"applied": {"requests": 5, "write_calls": 2, "quarantined": "many"}}',
        b'{"applied": {"requests": 5, "write_calls": 2, "quarantined": 1, "keys": 3}}',
    ):
        answers.heard(answer)
    assert answers.totals == Answered(requests=15, write_calls=3, quarantined=3)
