"""What goes into a package."""

import pytest

from tidemill_deploy.packaging.contents import is_needed, together, without_models
from tidemill_deploy.packaging.errors import PackagingError

NEEDED = ["six.py", "boto3/session.py", "botocore/data/sqs/2012-11-05/service-2.json.gz", "msgspec/_core.so"]
NEEDED += ["boto3-1.0.dist-info/METADATA", "boto3-1.0.dist-info/licenses/LICENSE", "boto3/bin/RECORD"]
NOT_NEEDED = ["bin/jp.py", "../../../bin/jp.py", "/etc/passwd", "boto3/__pycache__/session.cpython-311.pyc", "a.pyc"]
NOT_NEEDED += ["boto3-1.0.dist-info/RECORD", "boto3-1.0.dist-info/INSTALLER", "boto3-1.0.dist-info/direct_url.json"]
NOT_NEEDED += ["__editable__.pth", ".lock", "share/man/man1/jp.1"]


@pytest.mark.parametrize("name", NEEDED)
def test_code_data_and_metadata_are_needed(name: str) -> None:
    assert is_needed(name)


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_commands_compiled_files_and_an_installers_notes_are_not(name: str) -> None:
    assert not is_needed(name)


def test_botocore_describes_the_services_that_are_called_and_no_others() -> None:
    kept = ["botocore/data/endpoints.json", "botocore/data/sns/2010-03-31/service-2.json.gz", "botocore/session.py"]
    kept += ["mine/data/sqs/2012-11-05/service-2.json.gz"]
    files = dict.fromkeys([*kept, "botocore/data/sqs/2012-11-05/service-2.json.gz"], 1)
    assert list(without_models(files, ("sns",))) == kept


THIRD_PARTY = {"boto3/session.py": 1, "six.py": 1, "six-1.0.dist-info/METADATA": 1, "msgspec/__init__.py": 1}
OWN = {"tidemill/__init__.py": 2}


def test_a_package_is_all_of_it_together() -> None:
    application = {"shop.py": 3, "data/prices.json": 3}
    assert together(THIRD_PARTY, OWN, application) == {**THIRD_PARTY, **OWN, **application}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("msgspec.py", "msgspec, and what the functions need has that name"),
        ("tidemill/rules.py", "tidemill, and"),
        ("six/__init__.py", "six, and"),
        ("boto3/extra.json", "boto3, and"),
        ("json.py", "json, which is Python's own"),
        ("logging/__init__.py", "logging, which is Python's own"),
    ],
)
def test_rules_that_would_take_the_place_of_something_else_are_refused(name: str, told: str) -> None:
    with pytest.raises(PackagingError, match=told):
        together(THIRD_PARTY, OWN, {"shop.py": 3, name: 3})


def test_a_folder_of_data_may_be_called_like_a_module_of_pythons() -> None:
    assert "site/prices.json" in together(THIRD_PARTY, OWN, {"site/prices.json": 3, "shop/json.py": 3})


def test_a_file_whose_name_is_not_text_is_refused() -> None:
    with pytest.raises(PackagingError, match=r"'shop/\\udcff\.txt', whose name is not UTF-8"):
        together({}, {}, {"shop/\udcff.txt": ""})
