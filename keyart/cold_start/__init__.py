"""Films that nobody has rated: what is known of them, what is predicted of them, and how well."""
