"""The registry: models and versions, aliases and their moves, records of these, and putting right what does not fit."""
