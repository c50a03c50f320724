"""Commands: what people type beside ``dvc repro``, a module a noun."""
