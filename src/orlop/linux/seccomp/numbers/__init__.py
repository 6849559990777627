"""System call numbers, one module per architecture, each imported only when a filter covers it."""
