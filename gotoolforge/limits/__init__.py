"""Resource limits of a Go server: what they are, how far away they are, and what a load needs."""
