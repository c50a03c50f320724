"""Change control: what differs from the champion, and what of it the predetermined plan lets pass without review."""
