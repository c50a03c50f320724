"""What a broken source looks like, and the line of the declaration that mends it. No patient's value is repeated."""
