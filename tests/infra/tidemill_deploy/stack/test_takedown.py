import pytest

from tidemill_deploy.stack.takedown import archive_prefix, patterns


@pytest.mark.parametrize(
    ("caller", "found"),
    [
        ("arn:aws:iam::123456789012:root", ("arn:aws:iam::123456789012:root",)),
        ("arn:aws:iam::123456789012:user/ops/ann", ("arn:aws:iam::123456789012:user/ops/ann",)),
        (
            "arn:aws-cn:sts::123456789012:assumed-role/Operator/ann@example.org",
            ("arn:aws-cn:iam::123456789012:role/Operator", "arn:aws-cn:iam::123456789012:role/*/Operator"),
        ),
    ],
)
def test_whoever_drains_is_known_by_the_arn_of_the_role_and_not_of_the_session(
    caller: str, found: tuple[str, ...]
) -> None:
    assert patterns(caller) == found


def test_the_archive_is_where_its_delivery_stream_puts_files() -> None:
    destination = {"ExtendedS3DestinationDescription": {"Prefix": "landing/dt=!{timestamp:yyyy-MM-dd}/hour=1/"}}
    assert archive_prefix({"DeliveryStreamDescription": {"Destinations": [destination]}}) == "landing/"
