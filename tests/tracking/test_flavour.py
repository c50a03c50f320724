"""A registered model that looks at pictures, asked as MLflow asks it."""

import numpy as np
import pandas as pd
import pytest

from relapse.bundle.load import load_bundle
from relapse.cohorts.blocked import IMAGE
from relapse.ground.errors import SourceError
from relapse.tracking.flavour import _load_pyfunc


@pytest.fixture(scope="module")
def asked(lake):
    """Patients by the declaration's names, each with the text of her picture."""
    from relapse.imaging.stored import open_picture
    from relapse.imaging.uploads import as_text

    texts = [as_text(open_picture(path)) for path in map(type(lake.bundle), lake.table[IMAGE][:4])]
    return lake.table[lake.cohort.predictors][:4].assign(**{IMAGE: texts}).set_index(pd.Index([7, 5, 3, 1]))


def test_rows_with_pictures_get_what_the_model_makes_of_them(lake, asked):
    from tests.bundle.pictured import looked_at_alike

    found = _load_pyfunc(str(lake.bundle)).predict(asked)
    with looked_at_alike():
        expected = load_bundle(lake.bundle).model.predict_score(lake.table[:4])
    np.testing.assert_allclose(found["score"], expected, atol=1e-5)
    assert list(found.index) == [7, 5, 3, 1]
    assert list(found.columns) == ["score", *lake.cohort.endpoint.risk_columns]


@pytest.mark.parametrize("nothing", [None, float("nan"), 3])
def test_a_row_without_a_picture_is_an_error_that_names_it(lake, asked, nothing):
    model = _load_pyfunc(str(lake.bundle))
    with pytest.raises(SourceError, match=r"row 2 \(from 0\) has no picture"):
        model.predict(asked.assign(**{IMAGE: [*asked[IMAGE][:2], nothing, asked[IMAGE].iloc[3]]}))
    with pytest.raises(SourceError, match=r"row 0 .* the column 'image' holds the text"):
        model.predict(asked.drop(columns=IMAGE))


def test_a_picture_that_cannot_be_used_is_named_by_its_row_and_not_repeated(lake, asked):
    with pytest.raises(SourceError, match=r"row 1 \(from 0\): .* its text is no base64") as caught:
        _load_pyfunc(str(lake.bundle)).predict(
            asked.assign(**{IMAGE: "Jane Doe"}).iloc[[0, 1]].assign(**{IMAGE: [asked[IMAGE].iloc[0], "Jane Doe"]})
        )
    assert "Jane" not in str(caught.value)
