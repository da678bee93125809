"""Storage primitives: atomic files, locks, remote folders, delimited tables, arrays, progress and Spark sessions."""
