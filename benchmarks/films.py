"""How well a reader reads films: mini-MIAS in nested cross-validation, and lesions whose truth is known.

``python -P benchmarks/films.py --mias FOLDER`` from the repository root. A reader is taught anew in each of five
folds, penalties and all, and reads what it was not taught by: the tissue of every film, the lesions that were circled,
from a click in the circle's middle, and lesions drawn into the normal tissue of the test films. It is done twice: with
the films of a woman kept together, which is the honest figure, and split by film, so that the optimism is seen.
Intervals come from resampled women. ``--drawn N`` takes N drawn films in place of mini-MIAS, to try the script out.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from relapse.cohorts.catalogue import read_cohort  # noqa: E402
from relapse.imaging.films.descriptors import describe  # noqa: E402
from relapse.imaging.films.learning import Effort, Lesson, drawn_lessons, mias_lessons, seen_lesions, teach  # noqa: E402
from relapse.imaging.films.lesion import outline, propose  # noqa: E402
from relapse.imaging.films.mias import KINDS, TISSUES, read_mias  # noqa: E402
from relapse.imaging.films.sheet import Entry, entry_of, film_sheet, painted  # noqa: E402
from relapse.imaging.reading.film import read_film  # noqa: E402
from relapse.machinery import Machinery  # noqa: E402
from relapse.workers import one_thread  # noqa: E402

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """What one fold's reader made of films that it was not taught by: a frame each of films, lesions, drawn lesions."""

    films: pd.DataFrame
    lesions: pd.DataFrame
    drawn: pd.DataFrame
    entries: list[Entry]
    seconds: float


def fold(path: Path, train: NDArray[np.int_], test: NDArray[np.int_], effort: Effort, drawn: int, seed: int) -> Fold:
    import joblib

    lessons: list[Lesson] = joblib.load(path, mmap_mode="r")
    began = time.perf_counter()
    reader = teach([lessons[index] for index in train], seed=seed, effort=effort)
    seconds = time.perf_counter() - began
    held = [lessons[index] for index in test]
    films, lesions, entries = [], [], []
    for one in held:
        probabilities = reader.tissue.probabilities(one.features[None], one.small[None])[0]
        place = propose(reader.network, one.breast)
        circles = [found.circle for found in one.lesions if found.circle and found.kind != "CALC"]
        hit = None
        if place and circles:
            hit = any(np.hypot(place[0] - row, place[1] - column) <= radius for row, column, radius in circles)
        films.append(
            {
                "woman": one.woman,
                "tissue": one.tissue,
                "normal": not one.lesions,
                "masses": len(circles),
                "suspicion": place[2] if place else 0.0,
                "hit": hit,
                **dict(zip(TISSUES, probabilities, strict=True)),
            }
        )
        for marked in one.lesions:
            if marked.circle is None:
                continue
            row, column, radius = marked.circle
            found = outline(reader.network, one.breast, (row, column, None))
            rows, columns = np.ogrid[: one.breast.mask.shape[0], : one.breast.mask.shape[1]]
            disc = np.hypot(rows - row, columns - column) <= radius
            known = {"woman": one.woman, "kind": marked.kind, "circle": 2 * radius * one.breast.spacing}
            outlined = found.mask if found else None
            title = f"{one.name}  {marked.kind}  {known['circle']:.0f} mm"
            entries.append(
                Entry(title, one.breast.image, one.breast.mask, one.breast.pectoral, None, outlined, marked.circle)
            )
            if found is None:
                lesions.append({**known, "dice": 0.0, "size": np.nan, **dict.fromkeys(KINDS, 1 / len(KINDS))})
                continue
            described = describe(one.breast.image, found.mask, one.breast.spacing)
            size = reader.codes.size(found.diameter_mm, found.certainty, described)
            kinds = dict(zip(KINDS, reader.codes.kind(described), strict=True))
            lesions.append({**known, "dice": dice(found.mask, disc), "size": size.value, **kinds})
    truths = []
    for seen in seen_lesions(reader.network, [one for one in held if not one.lesions], drawn, seed=seed + 1000):
        size = reader.codes.size(seen.outline.diameter_mm, seen.outline.certainty, seen.described)
        assert seen.mask is not None
        truths.append(
            {
                "woman": seen.woman,
                "diameter": seen.diameter,
                "size": size.value,
                "covered": size.low <= seen.diameter <= size.high,
                "sure": size.confidence,
                "dice": dice(seen.outline.mask, seen.mask),
                "shape": seen.shape,
                "shape read": int(np.argmax(reader.codes.shape(seen.described))),
                "margin": seen.margin,
                "margin read": int(np.argmax(reader.codes.margin(seen.described))),
            }
        )
    return Fold(pd.DataFrame(films), pd.DataFrame(lesions), pd.DataFrame(truths), entries, seconds)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


def folds_of(lessons: list[Lesson], groups: list[str], *, count: int, seed: int) -> list[tuple[Array, Array]]:
    """Folds with as even shares of tissues and kinds of lesions as whole groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    strata = [f"{one.tissue} {one.lesions[0].kind if one.lesions else 'NORM'}" for one in lessons]
    few = pd.Series(strata).map(pd.Series(strata).value_counts()) < count
    strata = [one.split()[0] if rare else one for one, rare in zip(strata, few, strict=True)]
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(lessons)), strata, groups))


def with_interval(frame: pd.DataFrame, figure: Callable[[pd.DataFrame], float], *, resamples: int) -> str:
    """A figure of a frame, and its 95% interval over resampled women."""
    rng = np.random.default_rng(0)
    women = frame["woman"].unique()
    rows = {woman: np.flatnonzero(frame["woman"] == woman) for woman in women}
    drawn = []
    for _ in range(resamples):
        chosen = np.concatenate([rows[woman] for woman in rng.choice(women, len(women))])
        drawn.append(figure(frame.iloc[chosen]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{figure(frame):.3f} ({low:.3f} to {high:.3f})"


def accuracy(frame: pd.DataFrame) -> float:
    return float((frame[list(TISSUES)].idxmax(axis=1) == frame["tissue"]).mean())


def kappa(frame: pd.DataFrame) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(
        cohen_kappa_score(
            frame["tissue"], frame[list(TISSUES)].idxmax(axis=1), labels=list(TISSUES), weights="quadratic"
        )
    )


def macro_auc(frame: pd.DataFrame) -> float:
    """Mean over kinds of the AUC of one against the rest, of the kinds that are there."""
    from sklearn.metrics import roc_auc_score

    there = [kind for kind in KINDS if 0 < (frame["kind"] == kind).sum() < len(frame)]
    return float(np.mean([roc_auc_score(frame["kind"] == kind, frame[kind]) for kind in there]))


def mean_of(column: str) -> Callable[[pd.DataFrame], float]:
    return lambda frame: float(frame[column].astype(float).mean())


def median_of(column: str) -> Callable[[pd.DataFrame], float]:
    return lambda frame: float(frame[column].median())


def error(truth: str) -> Callable[[pd.DataFrame], float]:
    """Median of the relative error of a size."""
    return lambda frame: float((frame["size"] / frame[truth] - 1).abs().median())


def report(films: pd.DataFrame, lesions: pd.DataFrame, drawn: pd.DataFrame, *, resamples: int) -> None:
    def say(what: str, frame: pd.DataFrame, figure: Callable[[pd.DataFrame], float]) -> None:
        if len(frame):
            print(f"  {what:58} {with_interval(frame, figure, resamples=resamples)}", flush=True)

    say(f"tissue F, G, D of {len(films)} films: accuracy", films, accuracy)
    say("  quadratic kappa", films, kappa)
    if len(lesions):
        masses = lesions[lesions["kind"] != "CALC"].assign(
            within=lambda one: (one["size"] / one["circle"] - 1).abs() <= 0.25
        )
        say(f"{len(masses)} circled lesions (no CALC), click in the middle: mean Dice", masses, mean_of("dice"))
        say("  size against the circle, median relative error", masses[masses["size"].notna()], error("circle"))
        say("  share of sizes within a quarter", masses, mean_of("within"))
        say(f"kind of {len(lesions)} circled lesions, macro AUC", lesions, macro_auc)
        for kind in KINDS:
            part = lesions.assign(is_kind=lesions["kind"] == kind)
            if part["is_kind"].sum() > 1:
                from sklearn.metrics import roc_auc_score

                print(
                    f"    {kind} ({int(part['is_kind'].sum())}): AUC {roc_auc_score(part['is_kind'], part[kind]):.3f}"
                )
        shown = films[films["masses"] > 0].assign(hit=lambda one: one["hit"].eq(True))
        say(f"place proposed without a click, in the circle ({len(shown)} films)", shown, mean_of("hit"))
    say(f"{len(drawn)} lesions drawn into unseen tissue: mean Dice", drawn, mean_of("dice"))
    say("  median relative error of the size", drawn, error("diameter"))
    say("  share of sizes in their 90% interval", drawn, mean_of("covered"))
    right = drawn.assign(right=drawn["margin"] == drawn["margin read"], oval=drawn["shape"] == drawn["shape read"])
    say("  margin read as drawn", right, mean_of("right"))
    say("  shape read as drawn (two of the four codes are drawn)", right, mean_of("oval"))
    table = pd.crosstab(drawn["margin"], drawn["margin read"]).reindex(index=range(4), columns=range(4), fill_value=0)
    margins = read_cohort(ROOT / "data" / "cohorts" / "radiomics.yaml").features["margin"].levels
    print("  margins, rows drawn, columns read:")
    for code, row in table.iterrows():
        print(f"    {margins[str(code)]:28} {' '.join(f'{value:5d}' for value in row)}")


def seconds_a_film(folder: Path, seed: int, machine: Machinery) -> None:
    """Reading a film whole, from the file to the painted picture: seconds of one core's work, whoever else works."""
    little = Effort(windows=64, epochs=1, repeats=1, lesions=40)
    reader = teach(drawn_lessons(15, seed=seed, machinery=machine), seed=seed, effort=little)
    films = [film for film in read_mias(folder) if film.lesions and film.lesions[0].region][:21]
    for marked in (True, False):
        took = []
        for film in films:
            began = time.process_time()
            with one_thread():
                reading = reader.read(read_film(film.path, film.about), film.lesions[0].region if marked else None)
                middle = time.process_time()
                painted(entry_of(reading))
            took.append((middle - began, time.process_time() - middle))
        # The first one loads what all need.
        (read, paint), (longest, _) = np.median(took[1:], axis=0), np.max(took[1:], axis=0)
        how = "marked lesion" if marked else "place to be found"
        print(f"1024 × 1024 pixels, {how}: read in {read:.2f} s (longest {longest:.2f} s), painted in {paint:.2f} s")


def main(arguments: list[str] | None = None) -> None:
    import joblib

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mias", type=Path)
    parser.add_argument("--drawn", type=int, default=0, help="drawn films in place of mini-MIAS")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--windows", type=int, default=Effort().windows)
    parser.add_argument("--epochs", type=int, default=Effort().epochs)
    parser.add_argument("--lesions", type=int, default=Effort().lesions, help="drawn lesions that codes learn from")
    parser.add_argument("--tested", type=int, default=60, help="drawn lesions a fold that are read")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sheets", type=Path, help="folder for pages of the circled lesions as they were outlined")
    asked = parser.parse_args(arguments)
    machine = Machinery(workers=asked.workers, tracking_uri="", artifact_root=None, backend="loky")
    if asked.mias is None and not asked.drawn:
        parser.error("name the folder of mini-MIAS with --mias, or try --drawn 30")
    effort = Effort(windows=asked.windows, epochs=asked.epochs, lesions=asked.lesions)
    folder = asked.mias if not asked.drawn else None
    if folder:
        seconds_a_film(folder, asked.seed, machine)
    began = time.perf_counter()
    lessons = (
        mias_lessons(folder, machine) if folder else drawn_lessons(asked.drawn, seed=asked.seed, machinery=machine)
    )
    print(
        f"{len(lessons)} films of {len({one.woman for one in lessons})} women, {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "lessons.joblib"
        joblib.dump(lessons, kept)
        for name, groups in (
            ("women kept together", [one.woman for one in lessons]),
            ("split by film", [one.name for one in lessons]),
        ):
            splits = folds_of(lessons, groups, count=asked.folds, seed=asked.seed)
            tasks = (
                joblib.delayed(fold)(kept, train, test, effort, asked.tested, asked.seed + number)
                for number, (train, test) in enumerate(splits)
            )
            found: list[Fold] = list(joblib.Parallel(n_jobs=asked.workers)(tasks))
            print(f"{name}; a reader is taught in {np.mean([one.seconds for one in found]):.0f} s")
            frames = [
                pd.concat([getattr(one, part) for one in found], ignore_index=True)
                for part in ("films", "lesions", "drawn")
            ]
            if asked.sheets and groups[0] == lessons[0].woman:
                for number, one in enumerate(filter(lambda one: one.entries, found), start=1):
                    film_sheet(one.entries, asked.sheets / f"fold {number}.png")
            report(*frames, resamples=asked.resamples)


if __name__ == "__main__":
    main()
