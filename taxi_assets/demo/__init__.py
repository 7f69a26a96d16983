"""Made-up months for a machine without network, and the tour that `make demo` gives with them."""
