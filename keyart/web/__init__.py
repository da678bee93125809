"""The HTTP server: JSON API, web pages, and the middleware and workers behind them."""
