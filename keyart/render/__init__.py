"""Images of results: contact sheets, heat maps and plots."""
