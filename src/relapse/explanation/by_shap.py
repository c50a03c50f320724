"""Shapley values by the shap package, wherever it has an exact method: how the pipeline explains its candidates.

======================  ===========================================================================================
linear in its matrix    ``shap.LinearExplainer``; it takes the background's mean, which here is a weighted one
XGBoost, CatBoost       ``shap.TreeExplainer`` along the trees' paths, of the library's own model
forests                 ``shap.TreeExplainer`` against the background; survival forests in its form for trees of others
======================  ===========================================================================================

What stays with our own code, and why:

- forests of which a feature has several columns (levels without an order, gaps that are told, reduced blocks): shap's
  features are columns, whose values do not add up to those of the feature. Leaf by leaf they are exact. The same for
  trees of more nodes, or deeper, than shap counts without an overflow;
- networks, and support vector machines with a kernel: of a function shap has Kernel and Permutation, which ask it one
  patient at a time. Over the same coalitions, ours takes as long at worst and a thirtieth at best (docs/benchmarks.md);
- the service (:data:`relapse.explanation.shapley.OWN`), which starts without shap.

Lundberg SM et al. (2020), Nat Mach Intell 2:56-67.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.explanation.parts import Parts
from relapse.explanation.shapley import Method, Methods, by_feature, leafwise
from relapse.explanation.trees import Forest

Array = NDArray[np.float64]

#: Nodes of a tree that shap 0.51 can number, and features on one path whose coalitions it can count.
_MOST_NODES, _DEEPEST = 32_767, 29


def _linear(parts: Parts, fitted: tuple[Array, float], mean: Array) -> Method:
    import shap

    # Features are taken as independent of each other, so that no covariance is looked at.
    explainer = shap.LinearExplainer(fitted, (mean, np.zeros((len(mean), len(mean)))))
    return lambda matrix: (by_feature(parts, explainer.shap_values(matrix)), float(explainer.expected_value))


def _boosted(parts: Parts) -> Method:
    import shap

    trees = parts.estimator
    explainer = shap.TreeExplainer(trees.library_model(), feature_perturbation="tree_path_dependent")

    def method(matrix: Array) -> tuple[Array, float]:
        values = np.empty(matrix.shape)
        values[:, trees.library_columns(matrix.shape[1])] = explainer.shap_values(trees.library_rows(matrix))
        # It learns its base from the first rows that it is given.
        return by_feature(parts, values), float(explainer.expected_value)

    return method


def _forest(parts: Parts, forest: Forest, rows: Array, weights: Array) -> Method | None:
    if len(np.unique(parts.owner)) < len(parts.owner) or not _fits(forest, len(parts.used)):
        return leafwise(parts, forest, rows, weights)
    import shap

    # Trees of scikit-learn compare in single precision, to which shap rounds the patients but not the background.
    model, rows = _in_shaps_form(forest), rows.astype(np.float32)
    # To shap all background rows count alike, so that those of one weight are compared with together.
    alike = [(float(weights[group].sum()), rows[group]) for group in (weights == one for one in np.unique(weights))]
    explainers = [
        (share, shap.TreeExplainer(model, shap.maskers.Independent(group, max_samples=len(group))))
        for share, group in alike
    ]
    base = float(sum(share * explainer.expected_value for share, explainer in explainers))

    def method(matrix: Array) -> tuple[Array, float]:
        values = sum(share * explainer.shap_values(matrix) for share, explainer in explainers)
        return by_feature(parts, np.asarray(values)), base

    return method


def _fits(forest: Forest, features: int) -> bool:
    return all(tree.node_count <= _MOST_NODES and min(tree.max_depth, features) <= _DEEPEST for tree in forest.trees)


def _in_shaps_form(forest: Forest) -> dict[str, Any]:
    """The forest as shap takes trees that it has no reader for.

    Its reader of scikit-learn's forests (0.51) leaves thresholds in double precision, and its algorithm rounds them to
    single, up or down: values like 0.1 that lie at a threshold change sides, which moves single Shapley values by up to
    a tenth. Rounded down before, a threshold parts numbers of single precision as it always did.
    """
    return {
        "input_dtype": np.float32,
        "trees": [
            {
                "children_left": tree.children_left,
                "children_right": tree.children_right,
                "children_default": np.where(tree.missing_go_to_left, tree.children_left, tree.children_right),
                "features": tree.feature,
                "thresholds": _rounded_down(tree.threshold),
                "values": value[:, None] / len(forest.trees),
                # shap writes into it how many background rows come by.
                "node_sample_weight": np.zeros(tree.node_count),
            }
            for tree, value in zip(forest.trees, forest.values, strict=True)
        ],
    }


def _rounded_down(numbers: Array) -> Array:
    """The largest number of single precision that is not larger, each."""
    single = numbers.astype(np.float32)
    return np.where(single > numbers, np.nextafter(single, np.float32(-np.inf)), single).astype(np.float64)


#: By the shap package.
BY_SHAP = Methods(linear=_linear, boosted=_boosted, forest=_forest)
