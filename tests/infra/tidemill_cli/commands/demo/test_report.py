from tidemill_cli.commands.demo.report import Result


def test_changes_of_photos_that_nobody_told_are_a_difference_and_no_requests() -> None:
    result = Result(requests=12, records=9, put_calls=8)
    result.count_without(0)
    assert result == Result(requests=12, records=9, put_calls=8)
    result.count_without(2)
    said = ["2 changes of photos not told to the stream, or not archived"]
    assert result == Result(requests=10, records=7, put_calls=6, differences=said)
