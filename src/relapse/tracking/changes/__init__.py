"""Change control in the registry: what differs from the champion, reviews that are recorded, promotions held."""
