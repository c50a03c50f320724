"""Neural networks: many trained as one batched program, kept as plain arrays, used without any tensor library."""
