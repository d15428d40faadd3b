"""A run on few: only some classes, and only so many defective images a class to learn from."""

import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.errors import InputError
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.source import split_stage
from flawsmith.pipeline.stages import Stages
from tests.run_helpers import make_source


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return scan(read_dataset(make_source(tmp_path_factory.mktemp("few") / "photos", each=8)))


def parts_of(found, out, **settings):
    # A stage finds its own work again: a folder for each.
    stages = Stages(out)
    stages.digests["read"] = "read"
    return split_stage(stages, found, RunSettings(test_fraction=0.5, **settings))


def shown(found, indices):
    return [plane for i in indices for plane in found.facts[i].planes]


def test_few_a_class_are_learned_from_and_the_test_part_stays(found, tmp_path):
    whole = parts_of(found, tmp_path / "whole")
    few = parts_of(found, tmp_path / "few", per_class=2)
    assert few["test"] == whole["test"]
    assert set(few["train"]) < set(whole["train"])
    assert sorted(shown(found, few["train"])) == [0, 0, 1, 1]
    good = set(found.where("good"))
    assert good & set(few["train"]) == good & set(whole["train"])


def test_images_of_other_classes_are_in_no_part(found, tmp_path):
    name = found.dataset.classes[1]
    parts = parts_of(found, tmp_path, classes=(name,))
    used = [*parts["train"], *parts["test"]]
    assert set(shown(found, used)) == {1}
    assert len(used) == 9 + 8  # the clean ones, too


def test_a_class_that_is_not_there(found, tmp_path):
    with pytest.raises(InputError, match="no class 'crack'"):
        parts_of(found, tmp_path, classes=("crack",))
