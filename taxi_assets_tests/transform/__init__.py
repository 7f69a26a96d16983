"""How months are mapped, parsed, cleaned and counted."""
