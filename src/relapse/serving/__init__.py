"""Serving: requests and answers made from the cohort, predictions, and the Bento that holds them."""
