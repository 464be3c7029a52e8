"""Reading and preparing image–caption data."""
