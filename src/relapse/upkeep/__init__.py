"""Looking after a project as a whole: backup, restore, and moving it to another place."""
