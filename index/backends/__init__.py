"""Kinds of index behind one contract: exact search and a shortlist that is rescored exactly."""
