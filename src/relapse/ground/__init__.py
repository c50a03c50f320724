"""What every stage stands on: errors, files, the environment, YAML declarations, paths, and what a person sees."""
