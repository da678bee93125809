"""Pictures of results: contact sheets, heat maps, plots."""
