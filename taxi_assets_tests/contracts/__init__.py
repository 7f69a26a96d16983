"""The contracts, and the schemas that are generated from them."""
