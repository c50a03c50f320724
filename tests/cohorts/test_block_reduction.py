"""What a block may declare of its reduction and of sites."""

import pytest

from relapse.cohorts.declared.blocks import METHODS
from relapse.cohorts.schema import Cohort
from tests.wide import wide_cohort


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"reduce": "magic"}, "reduce"),
        ({"reduce": ["pca", "pca"]}, "each method is named once"),
        ({"reduce": []}, "reduce"),
        ({"harmonise": "always"}, "harmonise"),
    ],
)
def test_what_is_done_to_a_block_is_one_of_what_there_is(block, message):
    with pytest.raises(ValueError, match=message):
        wide_cohort(survival=True, **block)


def test_harmonising_needs_a_site_and_a_block_a_name_of_its_own():
    plain = wide_cohort(survival=True, harmonise="combat").model_dump(mode="json")
    with pytest.raises(ValueError, match="takes out what differs between sites: name the column"):
        Cohort.model_validate(plain | {"site": None})
    with pytest.raises(ValueError, match="block 'age': a feature or a column of every table is called so"):
        Cohort.model_validate(plain | {"blocks": plain["blocks"] | {"age": {}}})


def test_a_wide_block_may_be_reduced_in_any_way_and_another_only_as_declared():
    assert wide_cohort(survival=True, columns=31).block_methods("mri_scan") == METHODS
    assert wide_cohort(survival=True, columns=30).reducible == []
    assert wide_cohort(survival=True, columns=99, reduce="none").reducible == []
    assert wide_cohort(survival=True, columns=9, reduce=["pca", "none"]).block_methods("mri_scan") == ("none", "pca")
