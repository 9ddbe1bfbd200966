import pytest

from tidemill_deploy.stack.stack import StackError
from tidemill_deploy.stack.takedown import archive_prefix, patterns
from tidemill_deploy.template import load, template_path


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


def test_the_archive_is_where_the_template_says() -> None:
    assert archive_prefix(load(template_path())) == "landing/"


def test_a_template_without_an_archive_is_told() -> None:
    with pytest.raises(StackError, match="no archive"):
        archive_prefix({"Resources": {"Table": {"Type": "AWS::DynamoDB::Table"}}})
