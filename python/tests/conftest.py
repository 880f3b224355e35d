"""What the tests share. They run on the installed package: scripts/test.sh installs the sdist into
a fresh environment."""

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
MIX = "0.84*ssim + 0.16*l1"


@pytest.fixture(scope="session")
def known_values():
    """{id: entry} of what other libraries computed (tests/data/known_values.json)."""
    with open(DATA / "known_values.json", encoding="utf-8") as file:
        return {entry["id"]: entry for entry in json.load(file)["entries"]}


@pytest.fixture(scope="session")
def known_images():
    """The function that gives the two images of a case, float64, N x C x H x W."""
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    sys.path.insert(0, str(DATA))
    try:
        import known_images as module
    finally:
        sys.path.pop(0)
    return module
