"""The template as it is read: its short forms, its parameters, its Python."""

from pathlib import Path
from typing import Any

import pytest

from tidemill_deploy.template import TemplateError, load, parameters, python_version, template_path


@pytest.mark.parametrize(
    ("given", "complaint"),
    [({"Sise": "1"}, "no parameter Sise"), ({}, "Size has no default"), ({"Size": "big"}, "'big' is none")],
)
def test_parameters_that_do_not_fit_are_named(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        parameters({"Parameters": {"Size": {"Type": "Number"}}, "Resources": {}}, given)


def test_uploads_are_kept_longer_than_the_stream_keeps_their_requests() -> None:
    template = load(template_path())
    needed = {name: "" for name, one in template["Parameters"].items() if "Default" not in one}
    for days, hours in (("2", "24"), ("2", "47"), ("366", "8760")):
        parameters(template, {**needed, "ContentDays": days, "RetentionHours": hours})
    for days, hours, enough in (("2", "48", 3), ("7", "168", 8), ("30", "8760", 366)):
        with pytest.raises(TemplateError, match=f"ContentDays={days} is no longer .*; use ContentDays={enough} or"):
            parameters(template, {**needed, "ContentDays": days, "RetentionHours": hours})


def test_short_forms_are_written_out_and_dates_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Resources:\n  A: [!Ref B, !GetAtt B.C.D, !Sub '${B}', !If [X, 1, !Ref B], !Join ['', [!Ref B]]]\n"
        "  V: 2012-10-17\n"
    )
    assert load(path)["Resources"] == {
        "A": [
            {"Ref": "B"},
            {"Fn::GetAtt": ["B", "C.D"]},
            {"Fn::Sub": "${B}"},
            {"Fn::If": ["X", 1, {"Ref": "B"}]},
            {"Fn::Join": ["", [{"Ref": "B"}]]},
        ],
        "V": "2012-10-17",
    }


def test_a_file_that_is_no_template_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("- 1\n")
    with pytest.raises(TemplateError, match=r"other\.yaml is not a CloudFormation template"):
        load(path)


def functions(*runtimes: str) -> dict[str, Any]:
    one = "AWS::Serverless::Function"
    return {"Resources": {f"F{n}": {"Type": one, "Properties": {"Runtime": each}} for n, each in enumerate(runtimes)}}


def test_the_functions_have_one_python() -> None:
    assert python_version(functions("python3.14", "python3.14")) == "3.14"
    assert python_version(load(template_path())) == "3.14"
    for wrong in (("python3.13", "python3.14"), ("nodejs24.x",), ()):
        with pytest.raises(TemplateError, match="one Runtime"):
            python_version(functions(*wrong))
