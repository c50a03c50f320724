"""From a model back to what it was made from."""
