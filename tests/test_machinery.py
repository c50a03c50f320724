"""An experiment of DVC's tries something: it moves no champion unless somebody asks for it."""

import pytest

from relapse.machinery import EXPERIMENT, machinery


@pytest.mark.parametrize(
    ("experiment", "asked", "promotes"),
    [
        (False, None, True),
        (False, "now", True),
        (False, "later", False),
        (True, None, False),
        (True, "now", True),
        (True, "later", False),
    ],
)
def test_a_decision_is_carried_out_unless_it_is_put_off_or_only_tried(
    experiment: bool, asked: str | None, promotes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {EXPERIMENT: "HEAD" if experiment else None, "RELAPSE_PROMOTE": asked}.items():
        monkeypatch.delenv(name, raising=False)
        if text:
            monkeypatch.setenv(name, text)
    assert machinery().promotes is promotes
