"""Statistics: pure functions of arrays, referenced to R; nothing here knows a table, a file or a cohort."""
