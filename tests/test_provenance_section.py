"""The last section tells what is needed to trace a result, to repeat it, and what it cost."""

import html
import platform
import re
from dataclasses import replace

import pytest
import yaml

from flawsmith import __version__
from flawsmith.evaluate.provenance_section import (
    Cost,
    Provenance,
    duration,
    machine,
    provenance_section,
    versions,
)
from flawsmith.evaluate.report import Fact
from tests.report_helpers import EVIL, Page, render

PLAIN = Provenance(
    command="flawsmith run in out",
    origins=[Fact("Data", "in", "17 images")],
    settings={"seed": 3, "inpaint": {"preset": "small", "steps": None}, "划": ["a", "yes"]},
    versions={"flawsmith": "9.9"},
    machine={"CPU cores": "2"},
    costs=[Cost("read", 10.0), Cost("train", 30.0, kept=True), Cost("test", None)],
)


def shown(origin: Provenance) -> tuple[str, Page]:
    return render([provenance_section(origin)])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (723, "12 min 3 s"),
        (3599.6, "1 h 0 min"),
        (3929, "1 h 5 min"),
        (100_000, "27 h 47 min"),
    ],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_costs_add_up_and_unknown_ones_are_left_out() -> None:
    _, page = shown(PLAIN)
    text = " ".join(page.text.split())
    assert "read 10 s 25% train (kept) 30 s 75% test – 0% All 40 s" in text
    assert "Kept stages were made by an earlier call" in page.text
    assert "the sum is without it" in page.text
    plain = shown(replace(PLAIN, costs=[Cost("read", 0.0)]))[1]
    assert "read 0.0 s 0%" in " ".join(plain.text.split())
    assert "earlier call" not in plain.text


def test_settings_can_be_used_again() -> None:
    text, page = shown(PLAIN)
    block = re.search(r'data-snippet="settings"><code>(.*?)</code>', text, re.S)
    assert block
    assert yaml.safe_load(html.unescape(block[1])) == PLAIN.settings
    assert "flawsmith run in out" in page.text
    assert "in 17 images" in page.text
    assert page.open == []


def test_versions_and_machine_are_those_of_this_process() -> None:
    found = versions()
    assert found["flawsmith"] == __version__
    assert found["Python"] == platform.python_version()
    import numpy

    assert found["numpy"] == numpy.__version__
    own = machine("CPU")
    assert int(own["CPU cores"]) >= 1
    # Whose machine it is, is nobody's business.
    assert platform.node() not in " ".join(own.values()).split()


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from flawsmith.evaluate import provenance_section as module

    monkeypatch.setattr(module, "PACKAGES", ("no-such-package-of-ours",))
    assert versions()["no-such-package-of-ours"] == "not installed"


def test_names_are_escaped() -> None:
    evil = Provenance(EVIL, [Fact(EVIL, EVIL, EVIL)], {EVIL: EVIL}, {EVIL: EVIL}, {EVIL: EVIL},
                      [Cost(EVIL, 1.0)])  # fmt: skip
    text, page = shown(evil)
    assert "<script" not in text
    assert page.text.count("alert") >= 8
