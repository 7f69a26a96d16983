"""The sensors: what they request, and what they report."""
