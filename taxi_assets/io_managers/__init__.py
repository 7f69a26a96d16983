"""How papers travel between assets, and how a month is put into a lake or a warehouse on the way."""
