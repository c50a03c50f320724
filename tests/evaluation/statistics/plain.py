"""The definitions, pair by pair: slow, short, and what the fast forms are held against."""

import numpy as np


def wins(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where a value of the first beats one of the second, ½ where they tie: (m, n)."""
    return (first[:, None] > second) + 0.5 * (first[:, None] == second)


def auc(event: np.ndarray, score: np.ndarray) -> float:
    """ROC AUC as a mean over pairs."""
    return float(wins(score[event == 1], score[event == 0]).mean())


def clustered_covariance(event: np.ndarray, scores: list[np.ndarray], patient: np.ndarray) -> np.ndarray:
    """Obuchowski's covariance of AUCs (1997, equations 3 and 4), cluster by cluster."""
    positive, names = event == 1, np.unique(patient)
    m, n = positive.sum(), (~positive).sum()
    i10 = len(np.unique(patient[positive]))
    i01 = len(np.unique(patient[~positive]))
    first, second = np.zeros((len(scores), len(names))), np.zeros((len(scores), len(names)))
    for k, score in enumerate(scores):
        table = wins(score[positive], score[~positive])
        theta = table.mean()
        for c, name in enumerate(names):
            rows, columns = patient[positive] == name, patient[~positive] == name
            first[k, c] = table.mean(axis=1)[rows].sum() - rows.sum() * theta
            second[k, c] = table.mean(axis=0)[columns].sum() - columns.sum() * theta
    s10 = i10 / ((i10 - 1) * m) * first @ first.T
    s01 = i01 / ((i01 - 1) * n) * second @ second.T
    s11 = len(names) / (len(names) - 1) * first @ second.T
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def comparable(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Whether the row relapsed while the column was still followed: bool (n, n)."""
    later = (time[:, None] < time) | ((time[:, None] == time) & (event == 0))
    return (event[:, None] == 1) & later


def concordance(time: np.ndarray, event: np.ndarray, score: np.ndarray) -> float:
    """Harrell's C as a mean over comparable pairs."""
    return float(wins(score, score)[comparable(time, event)].mean())


def kang_variance(time: np.ndarray, event: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Variance of the difference of two C-indices from the full matrices of Kang et al. (2015)."""
    pairs = comparable(time, event)
    direction = pairs.astype(int) - pairs.T
    kernels = [direction * np.sign(score - score[:, None]) for score in (first, second)] + [direction**2]
    n = len(time)

    def covariance(one: np.ndarray, two: np.ndarray) -> float:
        top = 4 * (one.sum(1) * two.sum(1)).sum() - 2 * (one * two).sum()
        top -= 2 * (2 * n - 3) / (n * (n - 1)) * one.sum() * two.sum()
        return top / (n * (n - 1) * (n - 2) * (n - 3))

    means = [kernel.sum() / (n * (n - 1)) for kernel in kernels]
    table = np.array([[covariance(one, two) for two in kernels] for one in kernels])
    gradient = np.array([0.5 / means[2], -0.5 / means[2], -0.5 * (means[0] - means[1]) / means[2] ** 2])
    return float(gradient @ table @ gradient)
