"""The page and its HTTP API: what `keyart serve` serves. The only room that imports FastAPI and Uvicorn."""
