"""Drawn tables in the layout of public ones whose files are not ours: names, order, spellings. No row is a patient's."""

from pathlib import Path

import numpy as np
import pandas as pd

PATIENTS = 400

#: The columns of data_clinical_patient.txt of cBioPortal's brca_metabric, with the words of the lines above the header.
PATIENT = {
    "PATIENT_ID": "Patient Identifier",
    "LYMPH_NODES_EXAMINED_POSITIVE": "Lymph nodes examined positive",
    "NPI": "Nottingham prognostic index",
    "CELLULARITY": "Cellularity",
    "CHEMOTHERAPY": "Chemotherapy",
    "COHORT": "Cohort",
    "ER_IHC": "ER status measured by IHC",
    "HER2_SNP6": "HER2 status measured by SNP6",
    "HORMONE_THERAPY": "Hormone Therapy",
    "INFERRED_MENOPAUSAL_STATE": "Inferred Menopausal State",
    "SEX": "Sex",
    "INTCLUST": "Integrative Cluster",
    "AGE_AT_DIAGNOSIS": "Age at Diagnosis",
    "OS_MONTHS": "Overall Survival (Months)",
    "OS_STATUS": "Overall Survival Status",
    "CLAUDIN_SUBTYPE": "Pam50 + Claudin-low subtype",
    "THREEGENE": "3-Gene classifier subtype",
    "VITAL_STATUS": "Patient's Vital Status",
    "LATERALITY": "Primary Tumor Laterality",
    "RADIO_THERAPY": "Radio Therapy",
    "HISTOLOGICAL_SUBTYPE": "Tumor Other Histologic Subtype",
    "BREAST_SURGERY": "Type of Breast Surgery",
    "RFS_STATUS": "Relapse Free Status",
    "RFS_MONTHS": "Relapse Free Status (Months)",
}

#: The same of data_clinical_sample.txt.
SAMPLE = {
    "PATIENT_ID": "Patient Identifier",
    "SAMPLE_ID": "Sample Identifier",
    "CANCER_TYPE": "Cancer Type",
    "CANCER_TYPE_DETAILED": "Cancer Type Detailed",
    "ER_STATUS": "ER Status",
    "HER2_STATUS": "HER2 Status",
    "GRADE": "Neoplasm Histologic Grade",
    "ONCOTREE_CODE": "Oncotree Code",
    "PR_STATUS": "PR Status",
    "SAMPLE_TYPE": "Sample Type",
    "TUMOR_SIZE": "Tumor Size",
    "TUMOR_STAGE": "Tumor Stage",
    "TMB_NONSYNONYMOUS": "TMB (nonsynonymous)",
}


def _course(rng: np.random.Generator, risk: np.ndarray) -> dict[str, np.ndarray]:
    """Relapse and death of each patient, each with days to it or to the end of follow-up; some die without relapse."""
    relapse, other = rng.exponential(4000 * np.exp(-risk)), rng.exponential(15000, len(risk))
    death = np.where(other < relapse, other, relapse + rng.exponential(1500, len(risk)))
    end = rng.uniform(2000, 9000, len(risk))
    return {
        "relapse": (relapse < np.minimum(other, end)).astype(int),
        "relapse_days": np.minimum(relapse, np.minimum(other, end)).round() + 1,
        "death": (death < end).astype(int),
        "death_days": np.minimum(death, end).round() + 1,
    }


def metabric(folder: Path, seed: int = 5) -> Path:
    """Write both clinical tables of METABRIC as cBioPortal does; the last 40 patients have little recorded."""
    rng = np.random.default_rng(seed)
    n, names = PATIENTS, [f"MB-{place:04d}" for place in range(PATIENTS)]
    risk = rng.normal(0, 0.7, n)
    course = _course(rng, risk)

    def some(*values: str, missing: float = 0.0) -> np.ndarray:
        return np.where(rng.random(n) < missing, "NA", rng.choice(values, n))

    subtypes = ("LumA", "LumB", "Her2", "Basal", "claudin-low", "Normal", "NC")
    size, nodes = np.exp(3 + 0.3 * risk + 0.3 * rng.normal(size=n)).round(1), rng.poisson(np.exp(0.4 + 0.5 * risk))
    grade = np.clip(np.round(2 + 0.5 * risk + 0.5 * rng.normal(size=n)), 1, 3).astype(int)
    patients = {
        "PATIENT_ID": names,
        "LYMPH_NODES_EXAMINED_POSITIVE": nodes,
        "NPI": (0.02 * size + 1 + grade + rng.random(n) / 100).round(4),
        "CELLULARITY": some("High", "Moderate", "Low", missing=0.03),
        "CHEMOTHERAPY": some("YES", "NO"),
        "COHORT": some("1", "2", "3", "4", "5"),
        "ER_IHC": some("Positve", "Negative", missing=0.02),
        "HER2_SNP6": rng.choice(["NEUTRAL", "GAIN", "LOSS", "UNDEF"], n, p=[0.7, 0.2, 0.08, 0.02]),
        "HORMONE_THERAPY": some("YES", "NO"),
        "INFERRED_MENOPAUSAL_STATE": some("Pre", "Post"),
        "SEX": ["Female"] * n,
        "INTCLUST": some("1", "2", "3", "4ER-", "4ER+", "5", "10"),
        "AGE_AT_DIAGNOSIS": rng.uniform(25, 90, n).round(2),
        "OS_MONTHS": (course["death_days"] / 30.4375).round(9),
        "OS_STATUS": np.where(course["death"], "1:DECEASED", "0:LIVING"),
        "CLAUDIN_SUBTYPE": rng.choice(subtypes, n, p=[0.3, 0.25, 0.12, 0.12, 0.1, 0.1, 0.01]),
        "THREEGENE": some("ER+/HER2- Low Prolif", "ER+/HER2- High Prolif", "HER2+", "ER-/HER2-", missing=0.1),
        "VITAL_STATUS": np.where(course["death"], rng.choice(["Died of Disease", "Died of Other Causes"], n), "Living"),
        "LATERALITY": some("Left", "Right", missing=0.05),
        "RADIO_THERAPY": some("YES", "NO"),
        "HISTOLOGICAL_SUBTYPE": some("Ductal/NST", "Lobular", "Mixed"),
        "BREAST_SURGERY": some("MASTECTOMY", "BREAST CONSERVING", missing=0.01),
        "RFS_STATUS": np.where(course["relapse"], "1:Recurred", "0:Not Recurred"),
        "RFS_MONTHS": (course["relapse_days"] / 30.4375).round(2),
    }
    table = pd.DataFrame(patients).astype(object)
    recorded = ["PATIENT_ID", "COHORT", "SEX", "AGE_AT_DIAGNOSIS", "NPI", "ER_IHC", "RFS_STATUS", "RFS_MONTHS"]
    table.loc[n - 40 :, [name for name in PATIENT if name not in recorded]] = ""
    # As there are: no follow-up at all, and a relapse state without its months.
    table.loc[0, "RFS_MONTHS"] = 0
    table.loc[1, "RFS_MONTHS"] = ""
    samples = pd.DataFrame(
        {
            "PATIENT_ID": names,
            "SAMPLE_ID": names,
            "CANCER_TYPE": ["Breast Sarcoma", *["Breast Cancer"] * (n - 1)],
            "CANCER_TYPE_DETAILED": some("Breast Invasive Ductal Carcinoma", "Breast Invasive Lobular Carcinoma"),
            "ER_STATUS": some("Positive", "Negative"),
            "HER2_STATUS": some("Positive", "Negative"),
            "GRADE": grade,
            "ONCOTREE_CODE": some("IDC", "ILC"),
            "PR_STATUS": some("Positive", "Negative"),
            "SAMPLE_TYPE": ["Primary"] * n,
            "TUMOR_SIZE": size,
            "TUMOR_STAGE": np.where(np.arange(n) == 2, "4", some("1", "2", "3", missing=0.2)),
            "TMB_NONSYNONYMOUS": rng.uniform(0, 20, n).round(9),
        }
    ).sample(frac=1, random_state=1)
    for name, titles, rows in (("patient", PATIENT, table[list(PATIENT)]), ("sample", SAMPLE, samples[list(SAMPLE)])):
        above = [
            list(titles.values()),
            [f"{title}." for title in titles.values()],
            ["STRING"] * len(titles),
            ["1"] * len(titles),
        ]
        lines = "".join("#" + "\t".join(line) + "\n" for line in above)
        path = folder / f"data_clinical_{name}.txt"
        path.write_text(lines + rows.to_csv(sep="\t", index=False, lineterminator="\n"), encoding="utf-8")
    return folder


def transbig(folder: Path, seed: int = 6) -> Path:
    """Write the clinical data of breastCancerTRANSBIG as R's write.csv does: words in quotes, NA for missing."""
    rng = np.random.default_rng(seed)
    n = PATIENTS // 2
    risk = rng.normal(0, 0.7, n)
    course = _course(rng, risk)
    series = rng.choice(["VDXGUYU", "VDXIGRU", "VDXKIU", "VDXOXFU", "VDXRHU"], n)
    numbers = rng.permutation(n) + 2000
    grade = np.clip(np.round(2 + 0.5 * risk + 0.5 * rng.normal(size=n)), 1, 3)
    columns = {
        "samplename": [f"{hospital}_{number}" for hospital, number in zip(series, numbers, strict=True)],
        "dataset": "TRANSBIG",
        "series": series,
        "id": numbers,
        "filename": [f"GSM{number}.CEL.gz" for number in numbers],
        "size": (np.exp(0.6 + 0.3 * risk + 0.2 * rng.normal(size=n))).clip(0.6, 5).round(1),
        "age": rng.integers(25, 61, n),
        "er": rng.choice([0, 1], n, p=[0.3, 0.7]),
        "grade": pd.Series(grade).mask(pd.Series(range(n)) < 2).astype("Int64"),
        "pgr": pd.NA,
        "her2": pd.NA,
        "brca.mutation": pd.NA,
        "e.dmfs": course["relapse"],
        "t.dmfs": course["relapse_days"].astype(int),
        "node": 0,
        "t.rfs": course["relapse_days"].astype(int),
        "e.rfs": course["relapse"],
        "treatment": 0,
        "tissue": 1,
        "t.os": course["death_days"].astype(int),
        "e.os": course["death"],
    }
    path = folder / "transbig.csv"
    pd.DataFrame(columns).to_csv(path, index=False, na_rep="NA", quoting=2, lineterminator="\n")
    return path
