"""Limits of the user's own: a limit is never taken for kept without a measurement."""

import pytest

from mia_tf.report.limits import checked, parse_limits
from mia_tf.validation import InputError

METRICS = {
    "auroc": [0.6, 0.55, 0.65],
    "tpr_at_fpr_0.01": [0.06, 0.04, 0.08],
    "tpr_at_fpr_0.001": None,
    "tpr_at_fpr_0.001_per_target": [0.3, 0.2, 0.4],
}
HEADLINE = {"measured": {"all": {"metrics": METRICS}}}


@pytest.mark.parametrize(
    ("text", "exceeded", "words"),
    [
        ("tpr@0.01:0.03", True, "tpr@0.01 is 6% (95% interval 4% to 8%); the limit of 3% is exceeded"),
        ("tpr@1e-2:0.05", False, "the limit of 5% is undecided, because the interval holds it"),
        ("tpr@0.01:0.09", False, "the limit of 9% is kept"),
        ("tpr@0.01:0.0395", True, "the limit of 3.95% is exceeded"),
        ("auroc:0.5", True, "auroc is 60% (95% interval 55% to 65%); the limit of 50% is exceeded"),
    ],
)
def test_a_limit_is_exceeded_if_the_whole_interval_lies_above_it(text, exceeded, words):
    (verdict,) = checked(parse_limits([text]), HEADLINE)
    assert verdict["exceeded"] is exceeded and words in verdict["verdict"] and verdict["limit"] == text


@pytest.mark.parametrize(
    "text",
    ["tpr:0.5", "tpr@0.01", "tpr@0:0.5", "tpr@0.01:5", "auroc:1.0", "auroc@1:0.5", "", "tpr@0.01:5%", "tpr@-:1"],
)
def test_another_form_is_refused(text):
    with pytest.raises(InputError, match=r"`fail_above` must be tpr@FPR:LIMIT or auroc:LIMIT"):
        parse_limits([text])


def test_what_is_not_resolved_is_an_error_and_not_kept():
    with pytest.raises(InputError, match=r"is not resolved by this audit; resolved are: auroc, tpr@0\.01\."):
        checked(parse_limits(["tpr@0.001:0.9"]), HEADLINE)
    with pytest.raises(InputError, match="was not measured by this audit"):
        checked(parse_limits(["tpr@0.05:0.9"]), HEADLINE)
    with pytest.raises(InputError, match="resolved are: none"):
        checked(parse_limits(["auroc:0.9"]), None)
