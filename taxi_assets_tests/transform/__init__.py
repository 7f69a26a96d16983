"""How months are fetched, recognised, cleaned and counted."""
