"""The TRIPOD+AI checklist, filled in from what a cohort's files say."""
