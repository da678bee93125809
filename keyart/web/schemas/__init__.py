"""What the HTTP API accepts and returns; FastAPI writes its OpenAPI description from these."""
