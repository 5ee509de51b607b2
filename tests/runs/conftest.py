"""What the tests of audits share: a finished run of a user's own method."""

import shutil

import pytest
from auditing import SPEC

from uncle_jax.report.results import read_run
from uncle_jax.runs.execute import execute


@pytest.fixture(scope="package")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit") / "w"
    execute(SPEC, folder)
    return folder


@pytest.fixture
def run(workdir, tmp_path):
    """That run, in a folder of the test's own."""
    shutil.copytree(workdir, tmp_path / "w")
    return read_run(tmp_path / "w")[0][0]
