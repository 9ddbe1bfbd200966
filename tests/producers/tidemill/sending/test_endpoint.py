"""The endpoint's back-off by value: when a call may leave, and how many records it may have."""

from math import inf

from tidemill.sending.endpoint import Endpoint


def state(endpoint: Endpoint) -> tuple[float, int, int]:
    return endpoint.until, endpoint.limit, endpoint.failures


def test_while_it_answers_nothing_waits() -> None:
    endpoint = Endpoint()
    assert state(endpoint) == (-inf, 500, 0)
    endpoint.left()
    assert state(endpoint) == (-inf, 500, 0)
    endpoint.answered()
    assert state(endpoint) == (-inf, 500, 0)


def test_after_a_failure_one_call_finds_out_whether_it_answers() -> None:
    endpoint = Endpoint()
    endpoint.failed(10, until=7.0)
    assert state(endpoint) == (7.0, 5, 1)
    endpoint.left()
    assert state(endpoint) == (inf, 5, 1)
    endpoint.failed(5, until=9.0)
    assert state(endpoint) == (9.0, 2, 2)
    endpoint.left()
    endpoint.answered()
    assert state(endpoint) == (-inf, 4, 0)
    endpoint.left()
    assert endpoint.until == -inf, "calls leave side by side again"


def test_each_failure_halves_the_next_call_down_to_one_record() -> None:
    endpoint = Endpoint()
    for records, limit in ((500, 250), (900, 125), (4, 2), (3, 1), (1, 1), (1, 1)):
        endpoint.failed(records, until=1.0)
        assert endpoint.limit == limit


def test_each_answer_doubles_the_next_call_up_to_what_kinesis_takes() -> None:
    endpoint = Endpoint()
    endpoint.failed(1, until=1.0)
    for limit in (2, 4, 8, 16, 32, 64, 128, 256, 500, 500):
        endpoint.answered()
        assert endpoint.limit == limit
