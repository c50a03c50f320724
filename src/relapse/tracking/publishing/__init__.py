"""Publishing: one pipeline state becomes runs, a version and a decision in MLflow, once."""
