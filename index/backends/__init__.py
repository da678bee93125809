"""Kinds of index behind one contract, `base.Rows`: exact search, and a shortlist rescored exactly."""
