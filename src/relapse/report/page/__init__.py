"""The report's page: what it says, its tables, and its templates."""
