"""The analytics stage's package: the layout that Managed Flink documents, the same bytes each time, and no bad jar.

Whether its program starts in Flink is shown by tests/analytics_sql/stream/packaged.py.
"""

import zipfile
from pathlib import Path

import pytest

from tests.tree import ROOT
from tidemill_deploy.packaging.archive import code_keys
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.stage.package import RUN_OPTIONS, package_stage
from tidemill_deploy.template import load, template_path
from tidemill_stream import GROUP, Settings

FACTORIES = "META-INF/services/org.apache.flink.table.factories.Factory"
STAGE = load(template_path())["Resources"]["Stage"]["Properties"]


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    return a_jar(tmp_path / "connector.jar", {FACTORIES: "tidemill.flink.table.KinesisTableFactory\n"})


def a_jar(path: Path, entries: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


def test_the_program_the_jar_and_the_modules_are_where_the_runtime_properties_say(tmp_path: Path, jar: Path) -> None:
    made = package_stage(tmp_path / "out", jar)
    archive = zipfile.ZipFile(made.path)
    names = archive.namelist()
    assert groups()["kinesis.analytics.flink.run.options"] == RUN_OPTIONS
    assert {name for name in names if "/" not in name} == {RUN_OPTIONS["python"]}
    assert [name for name in names if name.endswith(".jar")] == [RUN_OPTIONS["jarfile"]]  # "a single JAR file"
    assert archive.read(RUN_OPTIONS["jarfile"]) == jar.read_bytes()
    modules = {name.removeprefix("dep/tidemill_stream/") for name in names if name.startswith(RUN_OPTIONS["pyFiles"])}
    assert {"__init__.py", "main.py", "settings.py", "sql/schema.sql", "sql/bindings/kinesis.sql"} <= modules
    source = {f"sql/{one.relative_to(ROOT / 'analytics_sql/stream')}" for one in (ROOT / "analytics_sql").rglob("*.sql")
              if "stream" in one.parts}  # fmt: skip
    assert {name for name in modules if name.endswith(".sql")} == source


def test_the_templates_properties_are_settings_of_the_stage() -> None:
    """With values as the template's patterns allow, the program reads them, and its SQL has all that it needs."""
    properties = groups()[GROUP]
    given = {
        "generation": "20260101T000000Z-abcdef",
        "begin": "1764000000",
        "commands": '{"content.view": null}',
        "periods": "1764000000-",
        "horizon.seconds": "3600",
        "stages": "coalesce,top_content,anomalies",
    }
    assert properties.keys() == given.keys() | {"stream.arn", "aggregated.arn"}
    settings = Settings.read(given | {"stream.arn": "arn:1", "aggregated.arn": "arn:2"})
    assert settings.values == {"stream_arn": "arn:1", "aggregated_arn": "arn:2"}
    assert settings.binding == "kinesis"


def groups() -> dict[str, dict[str, str]]:
    found = STAGE["ApplicationConfiguration"]["EnvironmentProperties"]["PropertyGroups"]
    return {one["PropertyGroupId"]: one["PropertyMap"] for one in found}


def test_the_same_files_are_the_same_bytes(tmp_path: Path, jar: Path) -> None:
    first, second = (package_stage(tmp_path / name, jar) for name in ("a", "b"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256
    assert code_keys([first]) == {"AnalyticsCodeKey": f"{first.sha256}.zip"}


def test_a_missing_connector_is_told_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"there is no .*gone\.jar.*`make connector` builds it; --connector names"):
        package_stage(tmp_path / "out", tmp_path / "gone.jar")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("entries", [{}, {FACTORIES: "org.apache.flink.connector.kinesis.Factory\n"}])
def test_another_jar_is_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    with pytest.raises(PackagingError, match="is not the connector"):
        package_stage(tmp_path / "out", a_jar(tmp_path / "other.jar", entries))


def test_what_is_no_jar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jar").write_text("no zip")
    with pytest.raises(PackagingError, match="is not the connector"):
        package_stage(tmp_path / "out", tmp_path / "text.jar")
