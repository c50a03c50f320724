"""Tables as MLflow shows them beside a run."""

import warnings

import pandas as pd


def log_table(table: pd.DataFrame, path: str) -> None:
    """Log a table to the active run."""
    import mlflow

    with warnings.catch_warnings():
        # MLflow looks for images among the columns in a way that pandas 4 will read otherwise; there are none.
        warnings.filterwarnings("ignore", message="For backward compatibility, 'str' dtypes are included")
        mlflow.log_table(table, path)
