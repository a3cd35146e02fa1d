"""Records of finished cells, and every table and figure as a query over them. Never imports torch."""
