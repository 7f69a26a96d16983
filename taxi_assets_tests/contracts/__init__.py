"""What the contracts say, and what is generated from them."""
