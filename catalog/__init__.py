"""What a film is, how films are stored and searched, and the errors and storage primitives that all packages share."""
