"""What people read: figures from frames, and one self-contained HTML page a cohort."""
