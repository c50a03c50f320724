"""The figures behind an answer: from the predictions of base, block and both to evidence, training nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.added_value.evidence import (
    Addition,
    FamilyEvidence,
    Group,
    ModelEvidence,
    Reclassified,
)
from relapse.added_value.questions import WAYS, Question, Role
from relapse.added_value.ranking import placed, ranks
from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import MIN_EACH, counts
from relapse.evaluation.calibration import calibration
from relapse.evaluation.evidence import compare, compare_at_horizon, endpoint_of
from relapse.evaluation.metrics import (
    Counts,
    Endpoint,
    Metric,
    evaluate,
    metric_differences,
    pooled,
    primary_replicates,
    resampled_patients,
)
from relapse.evaluation.statistics.added.likelihood_ratio import AddedScore, likelihood_ratio_test
from relapse.evaluation.statistics.added.net_benefit import (
    NetBenefitDifference,
    net_benefit_difference,
    net_benefit_difference_at_horizon,
)
from relapse.evaluation.statistics.added.reclassification import (
    integrated_discrimination,
    integrated_discrimination_at_horizon,
    net_reclassification,
    net_reclassification_at_horizon,
)
from relapse.evaluation.statistics.ranking.concordance import concordance_counts
from relapse.evaluation.statistics.results import Estimate
from relapse.evaluation.thresholds import acting_thresholds
from relapse.params import Params
from relapse.predictions import SUBGROUP
from relapse.preprocessing.transformers import encoder, expander

Array = NDArray[np.float64]
Tables = dict[Role, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Measures:
    """What all questions of a cohort are measured with: the same resamples of patients, the same thresholds."""

    table: pd.DataFrame
    cohort: Cohort
    endpoint: Endpoint
    weights: Counts
    resamples: int
    seed: int
    multiples: tuple[float, float]

    @classmethod
    def of(cls, table: pd.DataFrame, cohort: Cohort, params: Params) -> "Measures":
        """For a typed canonical table, with the settings of ``evaluate`` and ``register``."""
        resamples, seed = params.evaluate.resamples, params.seed
        ordered = table.sort_values("row", ignore_index=True)
        return cls(
            ordered,
            cohort,
            endpoint_of(cohort),
            resampled_patients(ordered, resamples=resamples, seed=seed),
            resamples,
            seed,
            params.register_.net_benefit,
        )

    def family(self, name: str, question: Question, tables: Tables) -> FamilyEvidence:
        """A question's evidence with one family, from the predictions by role."""
        score_test = self._score_test(question, pooled(tables[Role.BLOCK]))
        return FamilyEvidence(
            family=name,
            title=family(name).called(self.cohort),
            models=tuple(
                ModelEvidence(
                    role,
                    self._metrics(found),
                    calibration(pooled(found), self.endpoint),
                    self._within_sites(found),
                )
                for role, found in tables.items()
            ),
            additions=tuple(self._addition(role, tables[role], tables[Role.BASE]) for role in WAYS),
            score_test=score_test,
            # The same score for all adds nothing, and there is nothing to test.
            p=1.0 if np.isnan(score_test.p_cross_fitted) else score_test.p_cross_fitted,
            p_holm=float("nan"),
        )

    def _metrics(self, found: pd.DataFrame) -> dict[str, Estimate]:
        """All metrics; those of ranking from places within folds."""
        order, rest = self._kinds()
        ranked = evaluate(placed(found, self.endpoint), self.endpoint, self.weights, wanted=order)
        return ranked | evaluate(pooled(found), self.endpoint, self.weights, wanted=rest)

    def _differences(self, found: pd.DataFrame, base: pd.DataFrame) -> dict[str, Estimate]:
        order, rest = self._kinds()
        places = placed(found, self.endpoint), placed(base, self.endpoint)
        ranked = metric_differences(*places, self.endpoint, self.weights, wanted=order)
        return ranked | metric_differences(pooled(found), pooled(base), self.endpoint, self.weights, wanted=rest)

    def _kinds(self) -> tuple[list[Metric], list[Metric]]:
        """The metrics that look at the order of patients alone, and the others."""
        known = self.endpoint.metrics
        return [item for item in known if ranks(item)], [item for item in known if not ranks(item)]

    def left_out(self, tables: Tables, names: tuple[str, ...]) -> Iterator[Group]:
        """The difference in each site that was left out of training."""
        with_block, base = tables[Role.SCORE], tables[Role.BASE]
        for fold, name in enumerate(names):
            yield self._group("left out", "", name, with_block, base, base["row"][base["fold"] == fold])

    def _score_test(self, question: Question, block: pd.DataFrame) -> AddedScore:
        features = list(question.base_features)
        encoded = encoder(self.cohort, features).fit_transform(self.table)
        covariates = expander(self.cohort, features).fit_transform(encoded)
        return likelihood_ratio_test(
            covariates,
            block["score"].to_numpy(),
            block["event"].to_numpy(),
            block["time"].to_numpy() if self.endpoint.timed else None,
            clusters=block["patient"].to_numpy(),
        )

    def _addition(self, role: Role, found: pd.DataFrame, base: pd.DataFrame) -> Addition:
        order = placed(found, self.endpoint), placed(base, self.endpoint)
        return Addition(
            role=role,
            test=compare(*order, self.endpoint),
            p_holm=float("nan"),
            horizons={item.column: compare_at_horizon(*order, item) for item in self.endpoint.horizons},
            differences=self._differences(found, base),
            net_benefit=self._net_benefit(pooled(found), pooled(base)),
            reclassification={
                name: self._reclassified(name, pooled(found), pooled(base)) for name in self.endpoint.risk_columns
            },
            groups=tuple(self._groups(found, base)),
        )

    def _net_benefit(self, found: pd.DataFrame, base: pd.DataFrame) -> NetBenefitDifference:
        at, event = acting_thresholds(base, self.endpoint, multiples=self.multiples), base["event"].to_numpy()
        if not self.endpoint.timed:
            return net_benefit_difference(event, found["risk"].to_numpy(), base["risk"].to_numpy(), at, self.weights)
        horizon = self.endpoint.horizons[-1]
        risks = found[horizon.column].to_numpy(), base[horizon.column].to_numpy()
        return net_benefit_difference_at_horizon(base["time"].to_numpy(), event, *risks, horizon.time, at, self.weights)

    def _reclassified(self, column: str, found: pd.DataFrame, base: pd.DataFrame) -> Reclassified:
        horizon = next((item for item in self.endpoint.horizons if item.column == column), None)
        at = acting_thresholds(base, self.endpoint, multiples=self.multiples)
        cuts = float(at[0]), float(at[-1])
        event, risks = base["event"].to_numpy(), (base[column].to_numpy(), found[column].to_numpy())
        if horizon is None:
            return Reclassified(
                "",
                cuts,
                net_reclassification(event, *risks, weights=self.weights),
                net_reclassification(event, *risks, cuts=cuts, weights=self.weights),
                integrated_discrimination(event, *risks, weights=self.weights),
            )
        at_horizon = base["time"].to_numpy(), event, *risks, horizon.time, self.weights
        return Reclassified(
            horizon.label,
            cuts,
            net_reclassification_at_horizon(*at_horizon),
            net_reclassification_at_horizon(*at_horizon, cuts=cuts),
            integrated_discrimination_at_horizon(*at_horizon),
        )

    def _groups(self, found: pd.DataFrame, base: pd.DataFrame) -> Iterator[Group]:
        for column in (name for name in found.columns if name.startswith(SUBGROUP)):
            for level in sorted(found[column].dropna().unique()):
                mine = found["row"][found[column] == level]
                yield self._group("subgroup", column.removeprefix(SUBGROUP), str(level), found, base, mine)
        sites = sorted(found["site"].astype(str).unique())
        for site in sites if len(sites) > 1 else []:
            yield self._group("site", "", site, found, base, found["row"][found["site"].astype(str) == site])

    def _group(
        self, kind: str, column: str, level: str, found: pd.DataFrame, base: pd.DataFrame, rows: pd.Series
    ) -> Group:
        part, before = (placed(table[table["row"].isin(rows)], self.endpoint) for table in (found, base))
        size = counts(part)
        group = Group(kind, column, level, size.rows, size.patients, size.with_event)
        if size.fewer < MIN_EACH:
            return replace(
                group, note=f"fewer than {MIN_EACH} patients with or without the event: no figures are given"
            )
        weights = resampled_patients(before, resamples=self.resamples, seed=self.seed)
        metric = self.endpoint.primary
        return replace(
            group,
            base=evaluate(before, self.endpoint, weights, wanted=[metric])[metric.key],
            test=compare(part, before, self.endpoint),
        )

    def _within_sites(self, found: pd.DataFrame) -> Estimate | None:
        """The ranking metric of each site, weighted by its pairs: what a site's label alone tells is no part of it."""
        found = placed(found, self.endpoint, within=("site",))
        sites = found["site"].astype(str)
        parts = [(sites == name).to_numpy() for name in sorted(sites.unique())]
        pairs = np.array([self._pairs(found[mine]) for mine in parts], dtype=np.float64)
        if len(parts) < 2 or not (pairs > 0).any():
            return None
        shares = [(mine, share) for mine, share in zip(parts, pairs / pairs.sum(), strict=True) if share > 0]

        def averaged(weights: Counts) -> Array:
            values = [primary_replicates(found[mine], self.endpoint, weights[:, mine]) for mine, _ in shares]
            weight = np.array([share for _, share in shares])
            known = np.isfinite(np.array(values))
            # A resample may leave a small site without a pair; the others then stand for it.
            top = np.where(known, values, 0.0).T @ weight
            return np.asarray(top / (known.T @ weight))

        value = float(averaged(np.ones((1, len(found)), dtype=np.int16))[0])
        replicates = averaged(self.weights)
        lower, upper = np.quantile(replicates[np.isfinite(replicates)], [0.025, 0.975])
        return Estimate(value, float(lower), float(upper), method="pairs within sites, bootstrap by patient")

    def _pairs(self, part: pd.DataFrame) -> int:
        event = part["event"].to_numpy()
        if not self.endpoint.timed:
            return int(event.sum() * (1 - event).sum())
        found = concordance_counts(part["time"].to_numpy(), event, part["score"].to_numpy())
        return found.concordant + found.discordant + found.tied_score
