"""Quality: is this table what its declaration says it is, and does it give its outcome away?"""
